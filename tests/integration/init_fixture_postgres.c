/* What `init` says of a database of PostgreSQL, behind init_fixture.h. */
#include "tests/integration/init_fixture_private.h"

#define GRANTS                                                                                  \
    "if relay and applications have other roles than this one, give them ready ones: run what " \
    "`outbox-relay init --print-roles` prints (with --schema if it is not public), then grant " \
    "outbox_relay to the relay's role, and outbox_producer to the application's\n"

static void
run_printed(const char *sql)
{
    db_exec(init_db, sql);
}

const struct init_kind init_postgresql = {
    .run_printed = run_printed,
    .words =
        {
            [INIT_WORDS_CREATED] = INIT_OK "tables created; " GRANTS,
            [INIT_WORDS_MIGRATED] =
                INIT_OK "migrated: the tables for held messages are there now, the outbox stays as "
                        "it is; writers need nothing new; " GRANTS,
            [INIT_WORDS_VERSION] = "3",
            [INIT_WORDS_LOG] =
                INIT_OK "the log can be read; if the relay's role is another: alter role NAME "
                        "replication (Amazon RDS: grant rds_replication to NAME; Google Cloud SQL: "
                        "alter user NAME with replication); the relay makes its slot itself when "
                        "it starts, for one that nobody reads keeps the server's log\n",
            [INIT_WORDS_FOREIGN] = "give the relay a schema of its own by search_path in the dsn",
            [INIT_WORDS_LOCKED] = ": nothing was changed, run it again when that has ended: "
                                  "canceling statement due to lock timeout",
            [INIT_WORDS_LIMIT] = "the limit outbox_key_1024_bytes on public.outbox",
            [INIT_WORDS_MAY_NOT] = "cannot create the tables (run init as a role that may, or give "
                                   "the output of `outbox-relay init --print` to somebody who may)",
            [INIT_WORDS_SECOND_PART] = "begin;\n",
        },
};
