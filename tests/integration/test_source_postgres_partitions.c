/* Partitioned tables: a ctid is unique only within a partition, and a lock is that of a partition. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

static PGconn *admin;

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
}

static void
drop(void)
{
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_partitions, .init = create, .fini = drop, .timeout = 120);

/* Before PostgreSQL 17 a partitioned table cannot have an identity column, but a default. */
static void
partition_outbox(void)
{
    pg_exec(admin,
            "alter table outbox rename to plain; alter table plain alter id drop identity;"
            "create table outbox (like plain including defaults, primary key (id)) "
            "partition by range (id); create sequence outbox_id owned by outbox.id;"
            "alter table outbox alter id set default nextval('outbox_id');"
            "create table outbox_0 partition of outbox for values from (minvalue) to (1000)"
            "  partition by hash (id);"
            "create table outbox_00 partition of outbox_0 for values with (modulus 1, remainder 0);"
            "create table outbox_1 partition of outbox for values from (1000) to (maxvalue);"
            "drop table plain cascade");
}

Test(source_postgres_partitions, who_writes_into_a_partition_is_a_writer)
{
    partition_outbox();
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    PGconn *late = pg_fixture_connect();
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    cr_assert_eq(source_fixture_watermark(source), 1);
    pg_exec(late, "begin; insert into outbox_00 (payload) values ('2')");
    pg_exec(admin, "insert into outbox (payload) values ('3')");
    cr_assert_eq(source_fixture_watermark(source), 1, "2 may still come");
    pg_exec(late, "commit");
    cr_assert_eq(source_fixture_watermark(source), 3);
    const struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 10, .bytes_max = 1 << 20};
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 3);
    batch_free(batch);
    PQfinish(late);
    source_fixture_close(source, &config);
}

/* For readers of the log, a row belongs to its partition and not to the outbox, unless the publication says otherwise. */
Test(source_postgres_partitions, the_log_has_rows_of_the_outbox)
{
    partition_outbox();
    pg_exec(admin, "create publication outbox_relay_public for table outbox");
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 60 * CLOCK_S_US);
    config.mode = SOURCE_MODE_TAIL;
    struct source *source = source_fixture_own(&config);
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    struct error error = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_assert_not_null(strstr(error.text, "has no limit on exchange, routing_key, key, type, "
                                          "content_type, headers, so"),
                       "%s", error.text);
    pg_fixture_load(admin, "outbox-sql/postgres/schema_writing.sql");
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    error = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_assert_not_null(strstr(error.text, "alter publication outbox_relay_public set "
                                          "(publish_via_partition_root = true)"),
                       "%s", error.text);
    pg_exec(admin, strstr(error.text, "alter publication"));
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    pg_exec(admin, "insert into outbox_00 (payload) values ('2')");
    for (int64_t id = 1; id <= 2;) {
        const struct source_log event = source_fixture_log(source, 10);
        for (size_t i = 0; i < event.batch->count; i++) {
            cr_assert_eq(event.batch->rows[i].id, id++);
        }
        batch_free(event.batch);
    }
    source_fixture_close(source, &config);
    while (pg_query_int(admin, "select count(*) from pg_replication_slots where database = "
                               "current_database() and active") > 0) {
    }
    pg_exec(admin, "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
                   "where database = current_database()");
}
