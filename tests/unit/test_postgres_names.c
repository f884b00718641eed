#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "relay/postgres/names.h"

static char name[POSTGRES_NAME_BYTES];

Test(postgres_names, of_database_and_schema)
{
    postgres_slot_name(NULL, "shop", "public", name);
    cr_assert_str_eq(name, "outbox_relay_shop_public");
    postgres_publication_name(NULL, "public", name);
    cr_assert_str_eq(name, "outbox_relay_public");
}

Test(postgres_names, what_was_configured_comes_first)
{
    postgres_slot_name("relay_1", "shop", "public", name);
    cr_assert_str_eq(name, "relay_1");
    postgres_publication_name("Orders \"new\"", "public", name);
    cr_assert_str_eq(name, "Orders \"new\"");
}

Test(postgres_names, only_what_a_slot_may_be_called)
{
    struct error error;
    postgres_slot_name(NULL, "My-Shop", "\xC3\xA4 b", name);
    cr_assert_str_eq(name, "outbox_relay_my_shop____b");
    cr_assert(postgres_slot_check(name, &error));
}

Test(postgres_names, cut_to_what_the_server_takes)
{
    char database[POSTGRES_NAME_BYTES];
    struct error error;
    memset(database, 'D', sizeof(database) - 1);
    database[sizeof(database) - 1] = '\0';
    postgres_slot_name(NULL, database, "public", name);
    cr_assert_eq(strlen(name), POSTGRES_NAME_BYTES - 1);
    cr_assert(postgres_slot_check(name, &error));
    postgres_publication_name(NULL, database, name);
    cr_assert_eq(strlen(name), POSTGRES_NAME_BYTES - 1);
}

static void
expect_slot(const char *slot, bool good)
{
    struct error error;
    cr_assert_eq(postgres_slot_check(slot, &error), good, "%s", slot);
}

Test(postgres_names, slots_are_checked)
{
    char long_name[POSTGRES_NAME_BYTES + 1];
    memset(long_name, 'a', POSTGRES_NAME_BYTES);
    long_name[POSTGRES_NAME_BYTES] = '\0';
    expect_slot(long_name, false);
    expect_slot(long_name + 1, true);
    expect_slot("relay_1", true);
    expect_slot("", false);
    expect_slot("Relay", false);
    expect_slot("relay-1", false);
}

Test(postgres_names, publications_are_checked)
{
    char long_name[POSTGRES_NAME_BYTES + 1];
    struct error error;
    memset(long_name, 'a', POSTGRES_NAME_BYTES);
    long_name[POSTGRES_NAME_BYTES] = '\0';
    cr_assert_not(postgres_publication_check(long_name, &error));
    cr_assert(postgres_publication_check(long_name + 1, &error));
    cr_assert(postgres_publication_check("Any-Name", &error));
    cr_assert_not(postgres_publication_check("", &error));
}
