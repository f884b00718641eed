/* What `check` says of a database of MariaDB or MySQL, behind check_fixture.h. */
#include "tests/integration/check_fixture_private.h"

const struct check_kind check_mysql_kind = {
    .close = "",
    .see = "grant select on performance_schema.* to '%1$s'@'%%'; "
           "grant replication client on *.* to '%1$s'@'%%'",
    .read_log = "grant replication slave on *.* to '%1$s'@'%%'",
    .words =
        {
            [CHECK_WORDS_GOOD] = CHECK_OK
            "the outbox tables have version 1, those for held messages version "
            "1\n" CHECK_OK "limits, trigger and view of the tables are all there\n" CHECK_OK
            "the columns of the tables are as they were made\n" CHECK_OK
            "the account may do on the tables what a relay does\n" CHECK_OK
            "the server says who writes the outbox, so late rows are found at once\n",
            [CHECK_WORDS_PLACE] = "",
            [CHECK_WORDS_NO_TABLES] = "there are no outbox tables, or this account may not see "
                                      "them: run `outbox-relay init`",
            [CHECK_WORDS_FOREIGN] = "give the relay a database of its own",
            [CHECK_WORDS_NO_HELD] = "while writers go on",
            [CHECK_WORDS_HELD_VERSION] = "1",
            [CHECK_WORDS_SENT] = "the relay's account lacks a privilege, to record what is sent: "
                                 "grant delete on outbox_sent_batch",
            [CHECK_WORDS_DELETE] = CHECK_PROBLEM
            "the relay's account lacks a privilege: grant delete on outbox; grant update on "
            "outbox_held\n",
            [CHECK_WORDS_ADDED] = "`tenant`, `a b`",
            [CHECK_WORDS_COMPUTED] = "int generated always as (id * 2) stored",
            [CHECK_WORDS_NO_VALUE] = "column tenant of outbox_held: give it a default, or drop its "
                                     "NOT NULL",
            [CHECK_WORDS_NO_COLUMN] = "alter table outbox_held add `headers` longtext",
            [CHECK_WORDS_NO_LIMIT] = "the constraint outbox_key_1024_bytes of outbox is missing: "
                                     "run `outbox-relay init` as the owner of the tables",
            [CHECK_WORDS_REFUSED] = "connecting to the database at 127.0.0.1: Can't connect to ",
            [CHECK_WORDS_DENIED] = "Access denied for user",
            [CHECK_WORDS_LOG] = CHECK_OK "the binary log can be read\n",
            [CHECK_WORDS_LOG_DENIED] = "the account may not read the log: grant replication slave "
                                       "on *.* to it",
        },
};
