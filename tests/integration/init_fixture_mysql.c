/* What `init` says of a database of MariaDB or MySQL, behind init_fixture.h. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/init_fixture_private.h"

#define GRANTS(lists)                                                                             \
    "if relay and applications have other accounts than this one, give them ready roles: run "    \
    "what `outbox-relay init --print-roles --kind mysql` prints, then grant outbox_relay to the " \
    "relay's account, and outbox_producer to the application's, each as its default role" lists   \
    "\n"

/* With the client that Debian has, whichever server it has; it leaves out comments. */
static void
run_printed(const char *sql)
{
    char command[500];
    cli_write("printed.sql", "%s", sql);
    (void)snprintf(command, sizeof(command),
                   "MYSQL_PWD=$OUTBOX_TEST_MYSQL_PASSWORD "
                   "$(command -v mariadb || command -v mysql) --no-defaults "
                   "--host=$OUTBOX_TEST_MYSQL_HOST --port=$OUTBOX_TEST_MYSQL_PORT "
                   "--user=$OUTBOX_TEST_MYSQL_USER %s <printed.sql",
                   db_database());    /* fits */
    cr_assert_eq(system(command), 0); /* NOLINT: nobody else's words are in it */
}

#define KIND(lists, monitor)                                                                       \
    {                                                                                              \
        .run_printed = run_printed, .words = {                                                     \
            [INIT_WORDS_CREATED] = INIT_OK "tables created; " GRANTS(lists),                       \
            [INIT_WORDS_MIGRATED] =                                                                \
                INIT_OK "migrated: the tables for held messages are there now, the outbox stays "  \
                        "as it is; writers need nothing new; " GRANTS(lists),                      \
            [INIT_WORDS_VERSION] = "1",                                                            \
            [INIT_WORDS_LOG] = INIT_OK "the binary log can be read by an account that has: grant " \
                                       "replication slave, " monitor " on *.*\n",                  \
            [INIT_WORDS_FOREIGN] = "give the relay a database of its own",                         \
            [INIT_WORDS_LOCKED] = ", so the constraint outbox_key_1024_bytes of outbox cannot be " \
                                  "made: run init again when that has ended",                      \
            [INIT_WORDS_LIMIT] = "the constraint outbox_key_1024_bytes of outbox",                 \
            [INIT_WORDS_MAY_NOT] = "(run init as an account that may, or give the output of "      \
                                   "`outbox-relay init --print --kind mysql` to somebody who "     \
                                   "may)",                                                         \
            [INIT_WORDS_SECOND_PART] = "delimiter //\n",                                           \
        }                                                                                          \
    }

const struct init_kind init_mariadb =
    KIND("; and let an administrator run `install soname 'metadata_lock_info'`", "binlog monitor");

const struct init_kind init_mysql_server =
    KIND("; and grant select on performance_schema.* to the relay's account", "replication client");
