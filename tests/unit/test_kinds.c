#include <criterion/criterion.h>
#include <string.h>

#include "relay/cli/cli.h"
#include "relay/config/keys.h"
#include "relay/kinds/kinds.h"

/* Promise: a kind of database that can be configured has every function. */
Test(kinds, each_is_whole)
{
    cr_assert_not_null(database_kinds[0]);
    for (size_t i = 0; database_kinds[i] != NULL; i++) {
        const struct database_kind *const kind = database_kinds[i];
        cr_assert_not_null(kind->dsn_words, "%s", kind->name);
        cr_assert_not_null(kind->dsn_take, "%s", kind->name);
        cr_assert_not_null(kind->dsn_place, "%s", kind->name);
        cr_assert_not_null(kind->dsn_advise, "%s", kind->name);
        cr_assert_not_null(kind->dsn_has_password, "%s", kind->name);
        cr_assert_not_null(kind->keys, "%s", kind->name);
        cr_assert_not_null(kind->source_new, "%s", kind->name);
        cr_assert_not_null(kind->admin_open, "%s", kind->name);
        cr_assert_not_null(kind->check, "%s", kind->name);
        cr_assert_not_null(kind->init, "%s", kind->name);
        cr_assert_not_null(kind->init_print, "%s", kind->name);
        cr_assert_not_null(kind->init_print_roles, "%s", kind->name);
    }
}

/* A name that is not a key would have no effect. */
Test(kinds, own_keys_are_keys)
{
    for (size_t i = 0; database_kinds[i] != NULL; i++) {
        for (const struct database_key *key = database_kinds[i]->keys; key->name != NULL; key++) {
            cr_assert_not_null(config_key_find(CONFIG_SOURCE, key->name), "%s", key->name);
            cr_assert(database_kinds_own(database_kinds, key->name));
        }
    }
    cr_assert_not(database_kinds_own(database_kinds, "dsn"));
}

/* The help is one text, in which the names stand by hand. */
Test(kinds, each_is_named_by_the_help_of_init)
{
    const char *const kinds = strstr(cli_init.usage, "--kind KIND  ");
    cr_assert_not_null(kinds);
    for (size_t i = 0; database_kinds[i] != NULL; i++) {
        const char *const found = strstr(kinds, database_kinds[i]->name);
        cr_assert(found != NULL && found < strstr(kinds, "--schema"), "%s",
                  database_kinds[i]->name);
    }
}

Test(kinds, each_is_found_by_its_name_alone)
{
    for (size_t i = 0; database_kinds[i] != NULL; i++) {
        const struct database_kind *const kind = database_kinds[i];
        cr_assert_eq(database_kind_find(database_kinds, kind->name), kind, "%s", kind->name);
    }
    cr_assert_null(database_kind_find(database_kinds, ""));
    cr_assert_null(database_kind_find(database_kinds, "Postgres"));
    cr_assert_null(database_kind_find(database_kinds, "postgresql"));
}
