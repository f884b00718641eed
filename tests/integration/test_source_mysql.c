#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *admin;

static void
create(void)
{
    admin = source_mysql_fixture_create();
}

static void
drop(void)
{
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql, .init = create, .fini = drop, .timeout = 120);

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

Test(source_mysql, fetches_and_settles)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 10);
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
    cr_assert_eq(mysql_fixture_int(admin, "select id from outbox"), 10);
    source_fixture_close(source, &config);
}

static void
ask_present(struct source *source, const int64_t *ids, size_t count)
{
    const struct fetch fetch = {.kind = FETCH_PRESENT, .ids = ids, .id_count = count};
    source->ops->fetch(source, &fetch, clock_monotonic_us());
}

/* Behind a fetch and a settle that are out as well: it sees what the settle left. */
Test(source_mysql, says_which_rows_are_still_there)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 5);
    const struct fetch fetch = fetch_after(0);
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    source->ops->settle(source, (int64_t[]){2, 5}, 2, clock_monotonic_us());
    ask_present(source, (int64_t[]){1, 2, 4, 5, 9}, 5);
    struct source_event rows = source_fixture_expect(source, SOURCE_ROWS);
    cr_assert_eq(rows.rows->count, 5);
    batch_free(rows.rows);
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    const struct source_present present = source_fixture_expect(source, SOURCE_PRESENT).present;
    cr_assert_eq(present.count, 2);
    cr_assert_eq(present.ids[0], 1);
    cr_assert_eq(present.ids[1], 4);
    memory_free(present.ids);
    source_fixture_close(source, &config);
}

/* Close together, all between them is read: 2 is there and was not asked for. Far apart and many, it takes two statements. */
Test(source_mysql, says_it_of_ids_close_together_and_far_apart)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    static int64_t many[25000];
    source_mysql_fixture_insert(admin, 3);
    for (int64_t i = 0; i < 25000; i++) {
        many[i] = i * 3 - 60000;
    }
    const struct {
        const int64_t *ids;
        size_t count;
        size_t there;
    } asked[] = {{(int64_t[]){1, 3}, 2, 2}, {(int64_t[]){1, 3000}, 2, 1}, {many, 25000, 1}};
    for (size_t i = 0; i < 3; i++) {
        ask_present(source, asked[i].ids, asked[i].count);
        const struct source_present present = source_fixture_expect(source, SOURCE_PRESENT).present;
        cr_assert_eq(present.count, asked[i].there);
        cr_assert_eq(present.ids[0], i == 2 ? 3 : 1);
        cr_assert(i > 0 || present.ids[1] == 3);
        memory_free(present.ids);
    }
    source_fixture_close(source, &config);
}

Test(source_mysql, says_that_none_of_the_rows_is_there)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
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

Test(source_mysql, everything_asked_at_once_is_answered)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 10);
    const struct fetch fetch = fetch_after(2);
    const int64_t ids[] = {1, 2, 3};
    const uint64_t before_us = clock_monotonic_us();
    source->ops->settle(source, ids, 3, before_us);
    source->ops->fetch(source, &fetch, before_us);
    source->ops->watermark(source, before_us);
    cr_assert_geq(source_fixture_expect(source, SOURCE_SETTLED).lease_until_us,
                  before_us + config.takeover_us);
    const struct source_event rows = source_fixture_expect(source, SOURCE_ROWS);
    cr_assert_eq(rows.rows->count, 7, "the settled row is not read again");
    batch_free(rows.rows);
    cr_assert_eq(source_fixture_expect(source, SOURCE_FINAL).final.id, 10);
    source_fixture_close(source, &config);
}

static bool
span_is(struct span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.data, text, span.size) == 0;
}

static void
insert_full_rows(void)
{
    mysql_fixture_exec(
        admin,
        "insert into outbox (message_id, exchange, routing_key, `key`, type, content_type, "
        "headers, "
        "payload, created_at) values (x'00112233445566778899aabbccddeeff', 'events', "
        "'order.créé', 'c-7', 'order', 'application/json', '{\"a\": 1}', x'000102ff', '2026-01-02 "
        "03:04:05.678901'), "
        "(default, null, default, null, null, null, null, '', '1000-01-01'), "
        "(default, '', 'r', '', '', '', '{}', 'x', '9999-12-31 23:59:59.999999')");
}

Test(source_mysql, reads_every_column)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    insert_full_rows();
    for (int exact = 0; exact < 2; exact++) {
        struct fetch fetch = fetch_after(0);
        struct batch *batch;
        if (exact ==
            1) { /* the first is too large for its share, so from now on bytes are counted */
            fetch.bytes_max = 1;
            batch_free(source_fixture_fetch(source, fetch));
            fetch.bytes_max = 4 << 20;
        }
        batch = source_fixture_fetch(source, fetch);
        cr_assert_eq(batch->count, 3);
        const struct row *full = &batch->rows[0];
        const uint8_t id[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                              0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
        cr_assert_arr_eq(full->message_id, id, sizeof(id));
        cr_assert_eq(full->created_at_us, INT64_C(1767323045678901));
        cr_assert_eq(full->key_hash,
                     mysql_fixture_int(
                         admin, "select cast(conv(left(sha2('c-7', 256), 15), 16, 10) as signed)"));
        cr_assert(full->ordered && full->has_key && !full->exchange_is_null);
        cr_assert(span_is(full->exchange, "events") && span_is(full->routing_key, "order.créé") &&
                  span_is(full->key, "c-7") && span_is(full->type, "order") &&
                  span_is(full->content_type, "application/json") &&
                  span_is(full->headers, "{\"a\": 1}"));
        cr_assert(full->payload.size == 4 && memcmp(full->payload.data, "\0\1\2\377", 4) == 0);
        const struct row *bare = &batch->rows[1];
        cr_assert(!bare->ordered && !bare->has_key && bare->exchange_is_null &&
                  bare->key_hash == 0);
        cr_assert_eq(bare->exchange.size + bare->routing_key.size + bare->key.size +
                         bare->type.size + bare->content_type.size + bare->headers.size +
                         bare->payload.size,
                     0);
        cr_assert_eq(bare->created_at_us, INT64_C(-30610224000000000));
        const struct row *empty = &batch->rows[2];
        cr_assert(empty->ordered && !empty->exchange_is_null && span_is(empty->headers, "{}"));
        cr_assert_eq(empty->created_at_us, INT64_C(253402300799999999));
        batch_free(batch);
    }
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
        const bool due = row->id != 2 && row->id != 3;
        cr_assert_eq(row->id, expected[i]);
        cr_assert_neq(row->scheduled, due);
        cr_assert_eq(row->payload.size, due ? 1 : 0);
        cr_assert_eq(row->headers.size, due ? 2 : 0);
        cr_assert_not(row->withheld);
    }
    batch_free(batch);
}

Test(source_mysql, says_what_is_scheduled)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    mysql_fixture_exec(
        admin, "insert into outbox (headers, payload, deliver_after) values ('{}', '1', null), "
               "('{}', '2', utc_timestamp(6) + interval 1 hour), ('{}', '3', '9999-12-31'), "
               "('{}', '4', utc_timestamp(6) - interval 1 hour), ('{}', '5', '1970-01-01'), "
               "('{}', '6', utc_timestamp(6) - interval 1 hour), ('{}', '7', null)");
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

Test(source_mysql, complete_means_that_there_is_no_more)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    struct batch *batch = source_fixture_fetch(source, fetch_after(0));
    cr_assert(batch->count == 0 && batch->complete);
    batch_free(batch);
    source_mysql_fixture_insert(admin, 10);
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
        cr_assert(batch->count > 0 || batch->complete);
        for (size_t i = 0; i < batch->count; i++) {
            cr_assert_eq(batch->rows[i].id, ++last);
            before += batch->rows[i].payload.size;
            cr_assert(batch->count == 1 || before <= bytes_max);
        }
        complete = batch->complete;
        batch_free(batch);
    }
    cr_assert_eq(last, rows);
    return batches;
}

/* Four of forty are above what a batch may have, and a fifth above what one has at first. The last batch is empty. */
Test(source_mysql, bounds_the_bytes_of_a_batch)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 40);
    mysql_fixture_exec(admin, "update outbox set payload = repeat('x', case when id % 10 = 0 then "
                              "8 << 20 when id % 7 = 0 then 100000 else 10 end)");
    const size_t batches = read_all(source, fetch_after(0), 40, 4 << 20);
    cr_assert_leq(batches, 11, "%zu", batches);
    source_fixture_close(source, &config);
}

Test(source_mysql, one_row_is_read_however_large)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 3);
    mysql_fixture_exec(admin, "update outbox set payload = repeat('x', 12 << 20)");
    struct fetch fetch = fetch_after(0);
    fetch.bytes_max = 1;
    cr_assert_leq(read_all(source, fetch, 3, 1), 4); /* the last one is empty */
    source_fixture_close(source, &config);
}

Test(source_mysql, counts_headers_as_bytes)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 10);
    mysql_fixture_exec(admin, "update outbox set headers = json_object('a', repeat('y', 32000)), "
                              "payload = ''");
    struct fetch fetch = fetch_after(0);
    fetch.bytes_max = 65000; /* a row has 32009 */
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 2, "%zu", batch->count);
    batch_free(batch);
    source_fixture_close(source, &config);
}

/* A row that others have made so, past the checks of the table. */
Test(source_mysql, what_is_not_whole_is_withheld)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 3);
    source_mysql_fixture_drop_checks(admin);
    mysql_fixture_exec(admin, "update outbox set payload = null where id = 2");
    mysql_fixture_exec(admin, "update outbox set message_id = 'short' where id = 3");
    size_t withheld = 0;
    struct fetch fetch = fetch_after(0);
    for (int64_t last = 0; last < 3;) {
        fetch.after_id = last;
        struct batch *batch = source_fixture_fetch(source, fetch);
        for (size_t i = 0; i < batch->count; i++) {
            last = batch->rows[i].id;
            cr_assert_eq(batch->rows[i].withheld != NULL, last > 1);
            withheld += batch->rows[i].withheld != NULL;
        }
        batch_free(batch);
    }
    cr_assert_eq(withheld, 2);
    source_fixture_close(source, &config);
}

/* ---- the session ---------------------------------------------------------------------------------------- */

Test(source_mysql, the_second_relay_takes_over_when_the_first_is_gone)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source_config other = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *first = source_fixture_own(&config);
    struct source *second = source_fixture_open(&other);
    cr_assert_eq(source_fixture_expect(second, SOURCE_STANDBY).lease_until_us, 0);
    mysql_fixture_kill(admin, source_mysql_fixture_owner(admin));
    (void)source_fixture_expect(second, SOURCE_OWNED);
    const struct source_event event = source_fixture_expect(first, SOURCE_LOST);
    cr_assert_eq(event.lease_until_us, 0);
    cr_assert_eq(event.lost.class, ERROR_CONNECTION);
    (void)source_fixture_expect(first, SOURCE_STANDBY);
    second->ops->free(second);
    (void)source_fixture_expect(first, SOURCE_OWNED);
    free(other.dsn);
    source_fixture_close(first, &config);
}

/* Ownerships of two databases of one server are two. */
Test(source_mysql, an_owner_that_is_silent_loses_its_ownership)
{
    struct source_config config = source_mysql_fixture_config(5 * CLOCK_S_US);
    struct source_config other = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *silent = source_fixture_open(&config);
    const uint64_t lease_until_us = source_fixture_expect(silent, SOURCE_OWNED).lease_until_us;
    struct source *second = source_fixture_open(&other);
    (void)source_fixture_expect(second, SOURCE_STANDBY);
    (void)source_fixture_expect(second, SOURCE_OWNED);
    cr_assert_geq(clock_monotonic_us(), lease_until_us, "owned by two at a time");
    const struct error lost = source_fixture_expect(silent, SOURCE_LOST).lost;
    cr_assert_eq(lost.class, ERROR_CONNECTION, "%s", lost.text);
    source_fixture_close(silent, &config);
    source_fixture_close(second, &other);
}

Test(source_mysql, pings_renew_the_lease)
{
    struct source_config config = source_mysql_fixture_config(4 * CLOCK_S_US);
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

static struct error
refusal(struct source_config *config)
{
    struct source *source = source_fixture_open(config);
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    source_fixture_close(source, config);
    return error;
}

static struct error
refusal_of(const char *more)
{
    struct source_config config = source_mysql_fixture_config_with(more, 10 * CLOCK_S_US);
    return refusal(&config);
}

Test(source_mysql, says_that_the_password_is_refused)
{
    const struct error error = refusal_of("password='open sesame'");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "1045"), "%s", error.text);
    cr_assert_null(strstr(error.text, "sesame"));
}

/* One that became a pipe while the relay ran: the library would wait for its writer, and nothing would stop it. */
Test(source_mysql, says_that_a_file_of_the_dsn_is_a_pipe)
{
    char more[200];
    char directory[] = "/tmp/test_source.XXXXXX";
    char path[100];
    cr_assert_not_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/key", directory);
    cr_assert_eq(mkfifo(path, 0600), 0);
    (void)snprintf(more, sizeof(more), "sslkey=%s", path);
    const struct error error = refusal_of(more);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "this is no regular file"), "%s", error.text);
    cr_assert_eq(unlink(path) + rmdir(directory), 0);
}

Test(source_mysql, says_that_the_database_is_not_there)
{
    const struct error error = refusal_of("dbname=nowhere");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "nowhere"), "%s", error.text);
}

Test(source_mysql, says_that_nobody_listens)
{
    const struct error error = refusal_of("port=1");
    cr_assert_eq(error.class, ERROR_CONNECTION);
    cr_assert_not_null(strstr(error.text, "127.0.0.1"), "%s", error.text);
}

Test(source_mysql, says_which_version_of_the_tables_it_needs)
{
    mysql_fixture_exec(admin, "update outbox_schema set version = 7");
    const struct error error = refusal_of("");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(
        strstr(error.text, "version 7, this relay needs version 1: use the relay that fits"), "%s",
        error.text);
}

Test(source_mysql, says_which_version_of_its_own_tables_it_needs)
{
    mysql_fixture_exec(admin, "update outbox_relay_schema set version = 0");
    struct error error = refusal_of("");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "version 0, this relay needs version 1: run `outbox-rel"),
                       "%s", error.text);
    mysql_fixture_exec(admin, "update outbox_relay_schema set version = 4");
    error = refusal_of("");
    cr_assert_not_null(strstr(error.text, "use the relay that fits"), "%s", error.text);
    mysql_fixture_exec(admin, "drop table outbox_relay_schema");
    error = refusal_of("");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "run `outbox-relay init`"), "%s", error.text);
}

Test(source_mysql, says_that_the_tables_are_missing)
{
    mysql_fixture_exec(admin, "drop table outbox");
    const struct error error = refusal_of("");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "outbox-relay init"), "%s", error.text);
}

Test(source_mysql, says_which_privilege_is_missing)
{
    mysql_fixture_grant(admin, "select", "outbox");
    mysql_fixture_grant(admin, "select", "outbox_schema");
    mysql_fixture_grant(admin, "select", "outbox_relay_schema");
    struct source_config config = source_mysql_fixture_config_as_user(10 * CLOCK_S_US);
    struct error error = refusal(&config);
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text,
                              "a privilege: grant insert, delete on outbox; grant select, insert, "
                              "update, delete on outbox_held; grant select, update on "
                              "outbox_held_act; grant insert, delete, select on outbox_relay"),
                       "%s", error.text);
    cr_assert_null(strstr(error.text, "outbox_sent"), "it is not told to remember anything");
    mysql_fixture_grant(admin, "insert, delete", "outbox");
    mysql_fixture_grant(admin, "select, insert, update, delete", "outbox_held");
    mysql_fixture_grant(admin, "select, update", "outbox_held_act");
    mysql_fixture_grant(admin, "select, insert, delete", "outbox_relay");
    config = source_mysql_fixture_config_as_user(10 * CLOCK_S_US);
    config.keep_sent_us = CLOCK_S_US;
    error = refusal(&config);
    cr_assert_not_null(
        strstr(error.text, "lacks a privilege: grant select, insert, delete on outbox_sent"), "%s",
        error.text);
    config = source_mysql_fixture_config_as_user(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 1);
    batch_free(source_fixture_fetch(source, fetch_after(0)));
    (void)source_fixture_watermark(source);
    settle(source, (int64_t[]){1}, 1);
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox"), 0);
    source_fixture_close(source, &config);
}

Test(source_mysql, a_table_that_goes_away_is_a_loss_with_words)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    const struct fetch fetch = fetch_after(0);
    mysql_fixture_exec(admin, "drop table outbox");
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(lost.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(lost.text, "run `outbox-relay init`"), "%s", lost.text);
    source_fixture_close(source, &config);
}
