/* PostgreSQL behind source_fixture.h. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/postgres/kind.h"
#include "tests/integration/source_fixture_private.h"

static log_position
log_end(struct db *db)
{
    return (log_position)db_int(db, "select (pg_current_wal_flush_lsn() - '0/0')::int8");
}

static void
next_id(struct db *db, int64_t id)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "alter sequence outbox_id_seq restart %" PRId64,
                   id); /* fits */
    db_exec(db, sql);
}

static const struct source_fixture_lack lacks[] = {
    {.line = "wal_level = replica",
     .what = "wal_level is replica",
     .remedy = "set wal_level = logical and restart the server"},
    {.line = "max_replication_slots = 0",
     .what = "no replication slot is free",
     .remedy = "raise max_replication_slots (now 0)"},
    {.line = "max_wal_senders = 0",
     .what = "no process is free to send the log",
     .remedy = "raise max_wal_senders (now 0)"},
    {.what = NULL},
};

const struct source_fixture_kind source_fixture_postgres = {
    .kind = &database_postgres,
    .log_end = log_end,
    .next_id = next_id,
    .reader = "select coalesce(max(active_pid), 0) from pg_replication_slots where database = "
              "current_database()",
    .next_file = "select pg_switch_wal()",
    .lacks = lacks,
    .words_log_gone = "has removed log that it needs (max_slot_wal_keep_size)",
    .relay_version = 3,
    .first_time = "timestamptz '-infinity'",
    .first_time_us = INT64_MIN,
    .last_time_us = INT64_MAX,
    .far_time = "timestamptz '294276-12-31 23:59:59 UTC'",
    .words_session_ended = "57P01",
    .words_silent = "57P05",
    .words_shut_out = "28000",
    .words_bad_password = "refused the password of user \"postgres\"",
    .words_no_database = "3D000",
    .words_nobody_listens = "refused",
    .words_no_table = "42P01",
    .words_no_privileges =
        "a privilege: grant select on sequence public.outbox_id_seq; grant insert, update, delete "
        "on public.outbox; grant select, insert, update, delete on public.outbox_held; grant "
        "select, update on public.outbox_held_act; grant select, insert, update on "
        "public.outbox_relay",
    .words_referenced = "23503",
    .words_no_keep = "lacks a privilege: grant insert on public.outbox_sent_batch",
};
