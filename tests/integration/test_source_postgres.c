#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
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

TestSuite(source_postgres, .init = create, .fini = drop, .timeout = 120);

static struct fetch
fetch_after(int64_t id)
{
    return (struct fetch){
        .kind = FETCH_NEXT, .after_id = id, .rows_max = 100, .bytes_max = 4 << 20};
}

static void
settle(struct source *source, const int64_t *ids, size_t count)
{
    source->ops->settle(source, ids, count, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_SETTLED);
}

static void
terminate_backend(const char *application)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select count(pg_terminate_backend(pid)) from pg_stat_activity where "
                   "application_name = '%s' and "
                   "datname = current_database()",
                   application);
    cr_assert_eq(pg_query_int(admin, sql), 1);
}

Test(source_postgres, fetches_and_settles)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin, "insert into outbox (routing_key, payload) select 'k' || n, 'x' from "
                   "generate_series(1, 10) n");
    struct batch *batch = source_fixture_fetch(source, fetch_after(0));
    cr_assert_eq(batch->count, 10);
    cr_assert(batch->complete);
    int64_t ids[10];
    for (size_t i = 0; i < 10; i++) {
        ids[i] = batch->rows[i].id;
        cr_assert_eq(ids[i], (int64_t)i + 1);
    }
    batch_free(batch);
    settle(source, ids, 9);
    cr_assert_eq(pg_query_int(admin, "select id from outbox"), 10);
    source_fixture_close(source, &config);
}

static void
ask_present(struct source *source, const int64_t *ids, size_t count)
{
    const struct fetch fetch = {.kind = FETCH_PRESENT, .ids = ids, .id_count = count};
    source->ops->fetch(source, &fetch, clock_monotonic_us());
}

/* Behind a fetch and a settle that are out as well: it sees what the settle left. */
Test(source_postgres, says_which_rows_are_still_there)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin, "insert into outbox (payload) select 'x' from generate_series(1, 5) n");
    const struct fetch fetch = fetch_after(0);
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    source->ops->settle(source, (int64_t[]){2, 5}, 2, clock_monotonic_us());
    ask_present(source, (int64_t[]){1, 2, 4, 5, 9}, 5);
    struct batch *rows = source_fixture_expect(source, SOURCE_ROWS).rows;
    cr_assert_eq(rows->count, 5);
    batch_free(rows);
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    struct source_present present = source_fixture_expect(source, SOURCE_PRESENT).present;
    cr_assert_eq(present.count, 2);
    cr_assert_eq(present.ids[0], 1);
    cr_assert_eq(present.ids[1], 4);
    memory_free(present.ids);
    source_fixture_close(source, &config);
}

/* Close together, all between them is read: 2 is there and was not asked for. */
Test(source_postgres, says_it_of_ids_close_together_and_far_apart)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin, "insert into outbox (payload) select 'x' from generate_series(1, 3) n");
    const int64_t asked[][2] = {{1, 3}, {1, 3000}};
    for (size_t i = 0; i < 2; i++) {
        ask_present(source, asked[i], 2);
        struct source_present present = source_fixture_expect(source, SOURCE_PRESENT).present;
        cr_assert_eq(present.count, i == 0 ? 2 : 1);
        cr_assert_eq(present.ids[0], 1);
        cr_assert(i == 1 || present.ids[1] == 3);
        memory_free(present.ids);
    }
    source_fixture_close(source, &config);
}

Test(source_postgres, says_that_none_of_the_rows_is_there)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    ask_present(source, (int64_t[]){7}, 1);
    struct source_present present = source_fixture_expect(source, SOURCE_PRESENT).present;
    cr_assert_eq(present.count, 0);
    cr_assert_null(present.ids);
    ask_present(source, NULL, 0);
    present = source_fixture_expect(source, SOURCE_PRESENT).present;
    cr_assert_eq(present.count, 0);
    source_fixture_close(source, &config);
}

Test(source_postgres, everything_asked_at_once_is_answered)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin, "insert into outbox (payload) select 'x' from generate_series(1, 10) n");
    const struct fetch fetch = fetch_after(2);
    const int64_t ids[] = {1, 2, 3};
    const uint64_t before_us = clock_monotonic_us();
    source->ops->settle(source, ids, 3, before_us);
    source->ops->fetch(source, &fetch, before_us);
    source->ops->watermark(source, before_us);
    cr_assert_geq(source_fixture_expect(source, SOURCE_SETTLED).lease_until_us,
                  before_us + config.takeover_us);
    struct batch *rows = source_fixture_expect(source, SOURCE_ROWS).rows;
    cr_assert_eq(rows->count, 7, "the settled row is not read again");
    batch_free(rows);
    cr_assert_eq(source_fixture_expect(source, SOURCE_FINAL).final.id, 10);
    source_fixture_close(source, &config);
}

static bool
span_is(struct span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.data, text, span.size) == 0;
}

Test(source_postgres, reads_every_column)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin, "insert into outbox (message_id, exchange, routing_key, key, type, "
                   "content_type, headers, payload, "
                   "created_at) values ('00112233-4455-6677-8899-aabbccddeeff', 'events', "
                   "'order.créé', 'c-7', "
                   "'order', 'application/json', '{\"a\": 1}', '\\x000102ff', '2026-01-02 "
                   "03:04:05.678901+00'), "
                   "(default, null, default, null, null, null, null, '', '-infinity'), "
                   "(default, '', 'r', '', '', '', '{}', 'x', 'infinity')");
    struct batch *batch = source_fixture_fetch(source, fetch_after(0));
    cr_assert_eq(batch->count, 3);
    const struct row *full = &batch->rows[0];
    const uint8_t id[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                          0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    cr_assert_arr_eq(full->message_id, id, sizeof(id));
    cr_assert_eq(full->created_at_us, INT64_C(1767323045678901));
    cr_assert_eq(full->key_hash, pg_query_int(admin, "select hashtextextended('c-7', 0)"));
    cr_assert(full->ordered && !full->exchange_is_null);
    cr_assert(span_is(full->exchange, "events") && span_is(full->routing_key, "order.créé") &&
              span_is(full->key, "c-7") && span_is(full->type, "order") &&
              span_is(full->content_type, "application/json") &&
              span_is(full->headers, "{\"a\": 1}"));
    cr_assert(full->payload.size == 4 && memcmp(full->payload.data, "\0\1\2\377", 4) == 0);
    const struct row *bare = &batch->rows[1];
    cr_assert(!bare->ordered && bare->exchange_is_null && bare->key_hash == 0);
    cr_assert_eq(bare->exchange.size + bare->routing_key.size + bare->key.size + bare->type.size +
                     bare->content_type.size + bare->headers.size + bare->payload.size,
                 0);
    cr_assert_eq(bare->created_at_us, INT64_MIN);
    const struct row *empty = &batch->rows[2];
    cr_assert(empty->ordered && !empty->exchange_is_null && span_is(empty->headers, "{}"));
    cr_assert_eq(empty->created_at_us, INT64_MAX);
    batch_free(batch);
    source_fixture_close(source, &config);
}

/* What cannot go now comes, but nothing of it is read. */
static void
expect_scheduled(struct source *source, struct fetch fetch)
{
    static const int64_t expected[] = {1, 2, 3, 5, 6, 7};
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct row *row = &batch->rows[i];
        const bool due = row->id != 2 && row->id != 3 && row->id != 6;
        cr_assert_eq(row->id, expected[i]);
        cr_assert_neq(row->scheduled, due);
        cr_assert_eq(row->payload.size, due ? 1 : 0);
        cr_assert_eq(row->headers.size, due ? 2 : 0);
        cr_assert_not(row->withheld);
    }
    batch_free(batch);
}

Test(source_postgres, says_what_is_scheduled)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin, "insert into outbox (headers, payload, deliver_after) values ('{}', '1', null), "
                   "('{}', '2', now() + '1 h'::interval), ('{}', '3', 'infinity'), "
                   "('{}', '4', now() - '1 h'::interval), ('{}', '5', '-infinity'), "
                   "('{}', '6', '294276-12-31 23:59:59'), ('{}', '7', null)");
    const int64_t ids[] = {4, 99};
    struct fetch fetch = fetch_after(0);
    fetch.ids = ids;
    fetch.id_count = 2;
    expect_scheduled(source, fetch);
    fetch.bytes_max =
        1; /* the first is too large for its share, so from now on bytes are counted */
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 1);
    batch_free(batch);
    fetch.bytes_max = 1000;
    expect_scheduled(source, fetch);
    source_fixture_close(source, &config);
}

Test(source_postgres, complete_means_that_there_is_no_more)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    struct batch *batch = source_fixture_fetch(source, fetch_after(0));
    cr_assert(batch->count == 0 && batch->complete);
    batch_free(batch);
    pg_exec(admin, "insert into outbox (payload) select 'x' from generate_series(1, 10) n");
    for (uint32_t rows_max = 9; rows_max <= 11; rows_max++) {
        struct fetch fetch = fetch_after(0);
        fetch.rows_max = rows_max;
        batch = source_fixture_fetch(source, fetch);
        cr_assert_eq(batch->count, rows_max < 10 ? rows_max : 10);
        cr_assert_eq(batch->complete, rows_max >= 10);
        batch_free(batch);
    }
    source_fixture_close(source, &config);
}

/* Reads on from id 0 until complete, checks the order, and returns how many batches it took. */
static size_t
read_all(struct source *source, struct fetch fetch, int64_t rows, uint64_t bytes_max)
{
    size_t batches = 0;
    int64_t last = 0;
    for (bool complete = false; !complete; batches++) {
        fetch.after_id = last;
        struct batch *batch = source_fixture_fetch(source, fetch);
        uint64_t before = 0;
        cr_assert(batch->count > 0);
        for (size_t i = 0; i < batch->count; i++) {
            cr_assert_eq(batch->rows[i].id, ++last);
            cr_assert(i == 0 || before < bytes_max);
            before += batch->rows[i].payload.size;
        }
        complete = batch->complete;
        batch_free(batch);
    }
    cr_assert_eq(last, rows);
    return batches;
}

Test(source_postgres, bounds_the_bytes_of_a_batch)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin,
            "insert into outbox (payload) select convert_to(repeat('x', case when n % 10 = 0 then "
            "16 << 20 "
            "when n % 7 = 0 then 100000 else 10 end), 'UTF8') from generate_series(1, 40) n");
    const size_t batches = read_all(source, fetch_after(0), 40, 4 << 20);
    cr_assert_leq(batches, 7, "%zu", batches);
    source_fixture_close(source, &config);
}

Test(source_postgres, one_row_is_read_however_large)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin,
            "insert into outbox (payload) select convert_to(repeat('x', 16 << 20), 'UTF8') from "
            "generate_series(1, 3) n");
    struct fetch fetch = fetch_after(0);
    fetch.bytes_max = 1;
    cr_assert_eq(read_all(source, fetch, 3, 1), 3);
    source_fixture_close(source, &config);
}

Test(source_postgres, counts_headers_as_bytes)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin,
            "insert into outbox (headers, payload) select jsonb_build_object('a', (select "
            "string_agg(md5(n || "
            "' ' || m), '') from generate_series(1, 1000) m)), '' from generate_series(1, 10) n");
    struct fetch fetch = fetch_after(0);
    fetch.bytes_max = 50000;
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 2, "%zu", batch->count);
    batch_free(batch);
    source_fixture_close(source, &config);
}

Test(source_postgres, the_second_relay_takes_over_when_the_first_is_gone)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source_config other = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    static char other_name[] = "standby";
    other.name = other_name;
    struct source *first = source_fixture_own(&config);
    struct source *second = source_fixture_open(&other);
    cr_assert_eq(source_fixture_expect(second, SOURCE_STANDBY).lease_until_us, 0);
    terminate_backend("outbox-relay orders");
    (void)source_fixture_expect(second, SOURCE_OWNED);
    const struct source_event event = source_fixture_expect(first, SOURCE_LOST);
    cr_assert_eq(event.lease_until_us, 0);
    cr_assert_eq(event.lost.class, ERROR_CONNECTION);
    cr_assert_not_null(strstr(event.lost.text, "57P01"), "%s", event.lost.text);
    (void)source_fixture_expect(first, SOURCE_STANDBY);
    second->ops->free(second);
    (void)source_fixture_expect(first, SOURCE_OWNED);
    free(other.dsn);
    source_fixture_close(first, &config);
}

Test(source_postgres, an_owner_that_is_silent_loses_its_ownership)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 5 * CLOCK_S_US);
    struct source_config other = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *silent = source_fixture_open(&config);
    const uint64_t lease_until_us = source_fixture_expect(silent, SOURCE_OWNED).lease_until_us;
    struct source *second = source_fixture_open(&other);
    (void)source_fixture_expect(second, SOURCE_STANDBY);
    (void)source_fixture_expect(second, SOURCE_OWNED);
    cr_assert_geq(clock_monotonic_us(), lease_until_us, "owned by two at a time");
    const struct error lost = source_fixture_expect(silent, SOURCE_LOST).lost;
    cr_assert_not_null(strstr(lost.text, "57P05"), "%s", lost.text);
    source_fixture_close(silent, &config);
    source_fixture_close(second, &other);
}

Test(source_postgres, pings_renew_the_lease)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 4 * CLOCK_S_US);
    struct source *source = source_fixture_open(&config);
    uint64_t lease_until_us = source_fixture_expect(source, SOURCE_OWNED).lease_until_us;
    for (int i = 0; i < 6; i++) { /* 6 s in all, longer than the lease */
        const struct source_event alive = source_fixture_next(source);
        cr_assert_eq(alive.type, SOURCE_ALIVE);
        cr_assert_gt(alive.lease_until_us, lease_until_us);
        cr_assert_leq(alive.lease_until_us, clock_monotonic_us() + config.takeover_us);
        lease_until_us = alive.lease_until_us;
    }
    source_fixture_close(source, &config);
}

/* Lets nobody connect to the test's database, or everybody again. */
static void
allow_connections(bool allowed)
{
    char sql[200];
    PGconn *server = PQconnectdb(getenv("OUTBOX_TEST_PG_DSN"));
    (void)snprintf(sql, sizeof(sql), "alter database %s allow_connections %s", PQdb(admin),
                   allowed ? "true" : "false");
    pg_exec(server, sql);
    PQfinish(server);
}

Test(source_postgres, comes_back_after_an_outage)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    const struct fetch fetch = fetch_after(0);
    allow_connections(false);
    terminate_backend("outbox-relay orders");
    cr_assert_eq(source_fixture_expect(source, SOURCE_LOST).lease_until_us, 0);
    source->ops->fetch(source, &fetch, clock_monotonic_us()); /* not owned: no answer */
    struct source_event event = source_fixture_expect(source, SOURCE_LOST);
    cr_assert_not_null(strstr(event.lost.text, "55000"), "%s", event.lost.text);
    allow_connections(true);
    do {
        event = source_fixture_next(source);
    } while (event.type == SOURCE_LOST || event.type == SOURCE_STANDBY);
    cr_assert_eq(event.type, SOURCE_OWNED);
    batch_free(source_fixture_fetch(source, fetch));
    source_fixture_close(source, &config);
}

static struct error
refusal(struct source_config *config)
{
    struct source *source = source_fixture_open(config);
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    source_fixture_close(source, config);
    return error;
}

Test(source_postgres, says_that_the_password_is_refused)
{
    char dsn[2000];
    static const char password[] = "open sesame";
    (void)snprintf(dsn, sizeof(dsn), "%s password='%s'", pg_fixture_dsn(), password);
    struct source_config config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    const struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "refused the password of user \"postgres\""), "%s",
                       error.text);
    cr_assert_null(strstr(error.text, password));
}

/* One that became a pipe while the relay ran: libpq would wait for its writer, and nothing would stop it. */
Test(source_postgres, says_that_a_file_of_the_dsn_is_a_pipe)
{
    char dsn[2000];
    char directory[] = "/tmp/test_source.XXXXXX";
    char path[100];
    cr_assert_not_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/key", directory);
    cr_assert_eq(mkfifo(path, 0600), 0);
    (void)snprintf(dsn, sizeof(dsn), "%s sslkey=%s", pg_fixture_dsn(), path);
    struct source_config config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    const struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "this is no regular file"), "%s", error.text);
    cr_assert_eq(unlink(path) + rmdir(directory), 0);
}

Test(source_postgres, says_that_the_database_is_not_there)
{
    char dsn[2000];
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=nowhere", pg_fixture_dsn());
    struct source_config config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    const struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "3D000"), "%s", error.text);
}

Test(source_postgres, says_that_nobody_listens)
{
    struct source_config config =
        source_fixture_config("host=127.0.0.1 port=1 user=nobody", 10 * CLOCK_S_US);
    const struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONNECTION);
    cr_assert_not_null(strstr(error.text, "refused"), "%s", error.text);
}

Test(source_postgres, says_which_version_of_the_tables_it_needs)
{
    pg_exec(admin, "update outbox_schema set version = 7");
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    const struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(
        strstr(error.text, "version 7, this relay needs version 1: use the relay that fits"), "%s",
        error.text);
}

Test(source_postgres, says_which_version_of_its_own_tables_it_needs)
{
    pg_exec(admin, "update outbox_relay_schema set version = 2");
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "version 2, this relay needs version 3: run `outbox-rel"),
                       "%s", error.text);
    pg_exec(admin, "update outbox_relay_schema set version = 4");
    config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    error = refusal(&config);
    cr_assert_not_null(strstr(error.text, "use the relay that fits"), "%s", error.text);
    pg_exec(admin, "drop table outbox_relay_schema");
    config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "run `outbox-relay init`"), "%s", error.text);
}

Test(source_postgres, says_that_the_tables_are_missing)
{
    pg_exec(admin, "drop table outbox cascade");
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    const struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "outbox-relay init"), "%s", error.text);
}

Test(source_postgres, says_which_privilege_is_missing)
{
    char dsn[2000];
    pg_exec(admin, "do $$ begin create role outbox_reader login password 'r'; exception when "
                   "duplicate_object then end $$");
    pg_exec(admin, "grant select on outbox to outbox_reader");
    (void)snprintf(dsn, sizeof(dsn), "%s user=outbox_reader password=r", pg_fixture_dsn());
    struct source_config config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(
        strstr(error.text,
               "a privilege: grant select on sequence public.outbox_id_seq; grant insert, "
               "update, delete on public.outbox; grant select, insert, update, delete on "
               "public.outbox_held; "
               "grant select, update on public.outbox_held_act; grant select, insert, update "
               "on public.outbox_relay"),
        "%s", error.text);
    cr_assert_null(strstr(error.text, "outbox_sent"), "it is not told to remember anything");
    pg_exec(admin, "grant insert, update, delete on outbox to outbox_reader; "
                   "grant select, insert, update, delete on outbox_held to outbox_reader; "
                   "grant select, update on outbox_held_act to outbox_reader; "
                   "grant select, insert, update on outbox_relay to outbox_reader; "
                   "grant select on sequence outbox_id_seq to outbox_reader");
    config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    config.keep_sent_us = CLOCK_S_US;
    error = refusal(&config);
    cr_assert_not_null(
        strstr(error.text, "lacks a privilege: grant select, insert, delete on public.outbox_sent"),
        "%s", error.text);
    config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source->ops->watermark(source, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_FINAL);
    source_fixture_close(source, &config);
}

Test(source_postgres, a_table_that_goes_away_is_a_loss_with_words)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    const struct fetch fetch = fetch_after(0);
    pg_exec(admin, "drop table outbox cascade");
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(lost.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(lost.text, "42P01"), "%s", lost.text);
    source_fixture_close(source, &config);
}

Test(source_postgres, final_ids_wait_for_those_who_write)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    cr_assert_eq(source_fixture_watermark(source), 0, "no id was given out");
    PGconn *late = pg_fixture_connect();
    PGconn *early = pg_fixture_connect();
    pg_exec(early, "insert into outbox (payload) values ('1')");
    cr_assert_eq(source_fixture_watermark(source), 1);
    pg_exec(late, "begin; insert into outbox (payload) values ('2')");
    pg_exec(early, "insert into outbox (payload) values ('3')");
    cr_assert_eq(source_fixture_watermark(source), 1, "2 may still come");
    pg_exec(early, "begin; insert into outbox (payload) values ('4')");
    cr_assert_eq(source_fixture_watermark(source), 1);
    struct batch *batch = source_fixture_fetch(source, fetch_after(0));
    cr_assert(batch->count == 2 && batch->rows[0].id == 1 && batch->rows[1].id == 3);
    batch_free(batch);
    pg_exec(late, "commit");
    cr_assert_eq(source_fixture_watermark(source), 3, "the one who came later does not matter");
    batch = source_fixture_fetch(source, fetch_after(1));
    cr_assert(batch->count == 2 && batch->rows[0].id == 2 && batch->rows[1].id == 3,
              "the late row comes first");
    batch_free(batch);
    pg_exec(early, "rollback");
    cr_assert_eq(source_fixture_watermark(source), 4);
    PQfinish(early);
    PQfinish(late);
    source_fixture_close(source, &config);
}

static struct source_final
ask_watermark(struct source *source)
{
    source->ops->watermark(source, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_FINAL).final;
}

static log_position
log_end(void)
{
    return (log_position)pg_query_int(admin, "select (pg_current_wal_flush_lsn() - '0/0')::int8");
}

Test(source_postgres, final_positions_wait_for_those_who_write)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    PGconn *late = pg_fixture_connect();
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    const log_position first = log_end();
    struct source_final final = ask_watermark(source);
    cr_assert_geq(final.position, first, "nobody writes");
    cr_assert_leq(final.position, final.log_end);
    pg_exec(late, "begin; insert into outbox (payload) values ('2')");
    const log_position begun = log_end();
    pg_exec(admin, "insert into outbox (payload) values ('3')");
    const log_position committed = log_end();
    final = ask_watermark(source);
    cr_assert_leq(final.position, begun, "2 may still come");
    cr_assert_geq(final.log_end, committed);
    pg_exec(late, "commit");
    final = ask_watermark(source);
    cr_assert_eq(final.id, 3);
    cr_assert_geq(final.position, committed);
    PQfinish(late);
    source_fixture_close(source, &config);
}

/* What was committed before the ownership began needs no second look. */
Test(source_postgres, the_first_final_position_is_behind_what_was_committed_before)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    const log_position end = log_end();
    struct source *source = source_fixture_own(&config);
    const struct source_final final = ask_watermark(source);
    cr_assert_eq(final.id, 1);
    cr_assert_geq(final.position, end);
    cr_assert_leq(final.position, final.log_end);
    source_fixture_close(source, &config);
}

Test(source_postgres, final_ids_wait_for_prepared_transactions)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    char sql[100];
    PGconn *writer = pg_fixture_connect();
    pg_exec(writer, "begin; insert into outbox (payload) values ('1')");
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    cr_assert_eq(source_fixture_watermark(source), 0);
    (void)snprintf(sql, sizeof(sql), "prepare transaction '%s'", PQdb(admin));
    pg_exec(writer, sql);
    cr_assert_eq(source_fixture_watermark(source), 0, "prepared is not over");
    PQfinish(writer);
    cr_assert_eq(source_fixture_watermark(source), 0);
    (void)snprintf(sql, sizeof(sql), "commit prepared '%s'", PQdb(admin));
    pg_exec(admin, sql);
    cr_assert_eq(source_fixture_watermark(source), 2);
    source_fixture_close(source, &config);
}

Test(source_postgres, final_ids_do_not_wait_for_anything_else)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    PGconn *other = pg_fixture_connect();
    pg_exec(other, "create table elsewhere (n int)");
    pg_exec(other, "begin isolation level repeatable read; insert into elsewhere values (1); "
                   "select * from outbox");
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    cr_assert_eq(source_fixture_watermark(source), 1);
    const int64_t id = 1;
    source->ops->settle(source, &id, 1, clock_monotonic_us());
    source->ops->watermark(source, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    cr_assert_eq(source_fixture_expect(source, SOURCE_FINAL).final.id, 1,
                 "its own deletes do not matter");
    PQfinish(other);
    source_fixture_close(source, &config);
}

/* The lease of 2 s makes stretches of 200,000 ids. */
Test(source_postgres, walks_over_ids_without_rows_in_stretches)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 2 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    pg_exec(admin, "alter sequence outbox_id_seq restart 500000");
    pg_exec(admin, "insert into outbox (payload) values ('2'), ('3')");
    cr_assert_eq(source_fixture_watermark(source), 500001);
    struct batch *batch = source_fixture_fetch(source, fetch_after(INT64_MIN));
    cr_assert(batch->count == 1 && batch->rows[0].id == 1);
    cr_assert_not(batch->complete, "it has seen a stretch only");
    batch_free(batch);
    batch = source_fixture_fetch(source, fetch_after(1));
    cr_assert(batch->count == 2 && batch->rows[0].id == 500000 && batch->complete);
    batch_free(batch);
    batch = source_fixture_fetch(source, fetch_after(500001));
    cr_assert(batch->count == 0 && batch->complete);
    batch_free(batch);
    source_fixture_close(source, &config);
}

/* Ten thousand million ids, of which only the last has a row: 50,000 stretches, unless they grow. */
static void
leave_ids_out(struct source *source)
{
    pg_exec(admin, "alter sequence outbox_id_seq restart 10000000000");
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    cr_assert_eq(source_fixture_watermark(source), 10000000000);
}

/* How many statements it takes to find that row. */
static int
walk(struct source *source)
{
    const struct fetch fetch = fetch_after(INT64_MIN);
    struct source_event event;
    int walks = 0;
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    for (event = source_fixture_next(source); event.type == SOURCE_ALIVE; walks++) {
        event = source_fixture_next(source);
    }
    cr_assert_eq(event.type, SOURCE_ROWS);
    cr_assert(event.rows->count == 1 && event.rows->rows[0].id == 10000000000);
    batch_free(event.rows);
    return walks;
}

Test(source_postgres, stretches_grow_where_there_is_nothing)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 2 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    leave_ids_out(source);
    const int walks = walk(source);
    cr_assert_lt(walks, 500, "%d", walks);
    source_fixture_close(source, &config);
}

/* One that outlasts the lease would do so again and again. */
Test(source_postgres, a_stretch_that_took_too_long_is_not_tried_again)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 2 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    const struct fetch fetch = fetch_after(INT64_MIN);
    PGconn *other = pg_fixture_connect();
    leave_ids_out(source);
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    for (int i = 0; i < 3; i++) {
        (void)source_fixture_expect(source, SOURCE_ALIVE);
    }
    pg_exec(other, "begin; lock table outbox");
    struct source_event event;
    do {
        event = source_fixture_next(source);
    } while (event.type == SOURCE_ALIVE);
    cr_assert_eq(event.type, SOURCE_LOST);
    pg_exec(other, "rollback");
    (void)source_fixture_await_owned(source);
    cr_assert_eq(source_fixture_watermark(source), 10000000000);
    /* It was the fourth or fifth that took too long, 200,000 ids doubled as often, and half of that
     * is the most now. */
    const int walks = walk(source);
    cr_assert_gt(walks, 5000, "%d", walks);
    PQfinish(other);
    source_fixture_close(source, &config);
}

/* An owner that was stopped between two writes of one request: the server waits for the rest of it,
 * and none of its timeouts runs. */
Test(source_postgres, an_owner_that_stopped_in_the_middle_of_a_request_is_ended)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 3 * CLOCK_S_US);
    PGconn *owner = pg_fixture_connect();
    PGresult *locked =
        PQexec(owner, "select pg_try_advisory_lock(1869968482, 'outbox'::regclass::oid::int4)");
    cr_assert_eq(PQgetvalue(locked, 0, 0)[0], 't');
    PQclear(locked);
    cr_assert_eq(PQenterPipelineMode(owner), 1);
    cr_assert_eq(PQsendQueryParams(owner, "select 1", 0, NULL, NULL, NULL, NULL, 0), 1);
    cr_assert_eq(PQsendFlushRequest(owner), 1); /* and no sync */
    cr_assert_eq(PQflush(owner), 0);
    struct source *source = source_fixture_open(&config);
    (void)source_fixture_expect(source, SOURCE_STANDBY);
    (void)source_fixture_expect(source, SOURCE_OWNED);
    source_fixture_close(source, &config);
    PQfinish(owner);
}
