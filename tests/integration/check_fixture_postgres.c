/* What `check` says of a database of PostgreSQL, behind check_fixture.h. */
#include "tests/integration/check_fixture_private.h"

const struct check_kind check_postgres_kind = {
    .close = "revoke create on schema public from public", /* before PostgreSQL 15 all may */
    .see = "",
    .read_log = "alter role %1$s replication",
    .words =
        {
            [CHECK_WORDS_GOOD] = CHECK_OK
            "the outbox tables have version 1\n" CHECK_OK
            "the tables for held messages have version 3\n" CHECK_OK
            "limits, triggers and functions of the tables are all there\n" CHECK_OK
            "columns are as they were made, and nobody has put anything on the "
            "tables\n" CHECK_OK "\"ROLE\" may do on the tables what a relay does\n" CHECK_OK
            "ids are given out in the order of writing\n" CHECK_OK "autovacuum is on\n",
            [CHECK_WORDS_PLACE] = "public.",
            [CHECK_WORDS_NO_TABLES] = "there are no outbox tables: run `outbox-relay init`, or set "
                                      "search_path in the dsn to where they are",
            [CHECK_WORDS_FOREIGN] = "set search_path in the dsn",
            [CHECK_WORDS_NO_HELD] = "while writers and an older relay go on",
            [CHECK_WORDS_HELD_VERSION] = "3",
            [CHECK_WORDS_SENT] = "the role lacks a privilege: grant delete on "
                                 "public.outbox_sent_batch to \"ROLE\"",
            [CHECK_WORDS_DELETE] = CHECK_PROBLEM
            "the role lacks a privilege: grant delete on public.outbox to \"ROLE\"\n" CHECK_PROBLEM
            "the role lacks a privilege: grant update on public.outbox_held to \"ROLE\"\n",
            [CHECK_WORDS_ADDED] = "tenant, \"a b\"",
            [CHECK_WORDS_COMPUTED] = "int generated always as (id * 2) stored not null",
            [CHECK_WORDS_NO_VALUE] = "what outbox_held must have (tenant): give these columns a "
                                     "default, or drop their NOT NULL",
            [CHECK_WORDS_NO_COLUMN] = "alter table public.outbox_held add column headers jsonb",
            [CHECK_WORDS_NO_LIMIT] = "the limit outbox_key_1024_bytes on public.outbox is missing: "
                                     "run `outbox-relay init` as the owner of the tables, which "
                                     "puts it back",
            [CHECK_WORDS_REFUSED] =
                "cannot connect: connection to server at \"127.0.0.1\", port 1 failed: "
                "Connection refused; Is the server running on that host and "
                "accepting TCP/IP connections?",
            [CHECK_WORDS_DENIED] = "password authentication failed for user",
            [CHECK_WORDS_LOG] = CHECK_OK "the log can be read; the relay makes the slot \"",
            [CHECK_WORDS_LOG_DENIED] = "the role may not read the log: alter role ROLE replication",
        },
};
