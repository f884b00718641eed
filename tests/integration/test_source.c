/* The source: what it reads, deletes and reports, and who owns the outbox. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/source_fixture.h"

static struct db *admin;
static const struct source_fixture_kind *kind;

static void
create(void)
{
    kind = source_fixture_kind();
    admin = db_create();
    db_load_outbox(admin);
}

static void
drop(void)
{
    db_drop(admin);
}

TestSuite(source, .init = create, .fini = drop, .timeout = 120);

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

Test(source, fetches_and_settles)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_fixture_insert(admin, 10);
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
    cr_assert_eq(db_int(admin, "select id from outbox"), 10);
    source_fixture_close(source, &config);
}

static void
ask_present(struct source *source, const int64_t *ids, size_t count)
{
    const struct fetch fetch = {.kind = FETCH_PRESENT, .ids = ids, .id_count = count};
    source->ops->fetch(source, &fetch, clock_monotonic_us());
}

/* Asked while a fetch and a settle are under way: the answer is from after the settle. */
Test(source, says_which_rows_are_still_there)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_fixture_insert(admin, 5);
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

/* For ids close together, all between them is read: 2 is there, but nobody asked for it. Many ids far apart take two
 * statements. */
Test(source, says_it_of_ids_close_together_and_far_apart)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    static int64_t many[25000];
    source_fixture_insert(admin, 3);
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

Test(source, says_that_none_of_the_rows_is_there)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
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

Test(source, everything_asked_at_once_is_answered)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_fixture_insert(admin, 10);
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
    cr_assert_leq(source_fixture_expect(source, SOURCE_FINAL).final.id, 10);
    source_fixture_await_final(source, 10);
    source_fixture_close(source, &config);
}

/* The worker has looked for events before it asked, and now waits for the descriptors or the deadline. */
Test(source, what_a_request_tells_without_a_server_is_due_at_once)
{
    struct source_config config = source_fixture_here(60 * CLOCK_S_US);
    config.mode = SOURCE_MODE_POLL;
    struct source *source = source_fixture_own(&config);
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    cr_expect_leq(source->ops->deadline_us(source), clock_monotonic_us());
    const struct error why = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_expect_str_eq(why.text, "mode is poll");
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
    char sql[800];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (message_id, exchange, routing_key, \"key\", type, content_type, "
        "headers, payload, created_at) values (as_id('00112233-4455-6677-8899-aabbccddeeff'), "
        "'events', 'order.créé', 'c-7', 'order', 'application/json', '{\"a\": 1}', "
        "unhex('000102ff'), as_time('2026-01-02 03:04:05.678901')), "
        "(default, null, default, null, null, null, null, '', %s), "
        "(default, '', 'r', '', '', '', '{}', 'x', last_time())",
        kind->first_time); /* fits */
    db_exec(admin, sql);
}

Test(source, reads_every_column)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
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
        cr_assert_eq(full->key_hash, db_int(admin, "select hash_of('c-7')"));
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
        cr_assert_eq(bare->created_at_us, kind->first_time_us);
        const struct row *empty = &batch->rows[2];
        cr_assert(empty->ordered && !empty->exchange_is_null && span_is(empty->headers, "{}"));
        cr_assert_eq(empty->created_at_us, kind->last_time_us);
        batch_free(batch);
    }
    source_fixture_close(source, &config);
}

/* A scheduled row comes without its contents. */
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

Test(source, says_what_is_scheduled)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    char sql[500];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (headers, payload, deliver_after) values ('{}', '1', null), "
                   "('{}', '2', from_now(3600)), ('{}', '3', last_time()), "
                   "('{}', '4', from_now(-3600)), ('{}', '5', first_time()), ('{}', '6', %s), "
                   "('{}', '7', null)",
                   kind->far_time); /* fits */
    db_exec(admin, sql);
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

Test(source, complete_means_that_there_is_no_more)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    struct batch *batch = source_fixture_fetch(source, fetch_after(0));
    cr_assert(batch->count == 0 && batch->complete);
    batch_free(batch);
    source_fixture_insert(admin, 10);
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
            cr_assert(i == 0 || before < bytes_max);
            before += batch->rows[i].payload.size;
        }
        complete = batch->complete;
        batch_free(batch);
    }
    cr_assert_eq(last, rows);
    return batches;
}

/* Four of forty rows are larger than a batch may be, and four more than the first batch may be. The last batch is
 * empty. */
Test(source, bounds_the_bytes_of_a_batch)
{
    struct source_config config = source_fixture_here(30 * CLOCK_S_US);
    source_fixture_insert(admin, 40);
    db_exec(admin, "update outbox set payload = bytes(repeat('x', case when id % 10 = 0 then "
                   "8 << 20 when id % 7 = 0 then 100000 else 10 end))");
    struct source *source = source_fixture_own(&config);
    const size_t batches = read_all(source, fetch_after(0), 40, 4 << 20);
    cr_assert_leq(batches, 11, "%zu", batches);
    source_fixture_close(source, &config);
}

Test(source, one_row_is_read_however_large)
{
    struct source_config config = source_fixture_here(30 * CLOCK_S_US);
    source_fixture_insert(admin, 3);
    db_exec(admin, "update outbox set payload = bytes(repeat('x', 12 << 20))");
    struct source *source = source_fixture_own(&config);
    struct fetch fetch = fetch_after(0);
    fetch.bytes_max = 1;
    cr_assert_leq(read_all(source, fetch, 3, 1), 4); /* the last one is empty */
    source_fixture_close(source, &config);
}

/* Each row has 32009 bytes of headers, although they are small on the disk. */
Test(source, counts_headers_as_bytes)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_fixture_insert(admin, 10);
    db_exec(admin, "update outbox set headers = as_headers(concat('{\"a\": \"', repeat('y', "
                   "32000), '\"}')), payload = ''");
    struct fetch fetch = fetch_after(0);
    fetch.bytes_max = 2 * 32009;
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 2, "%zu", batch->count);
    batch_free(batch);
    source_fixture_close(source, &config);
}

/* ---- the session ---------------------------------------------------------------------------------------- */

Test(source, the_second_relay_takes_over_when_the_first_is_gone)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source_config other = source_fixture_here(10 * CLOCK_S_US);
    static char other_name[] = "standby";
    other.name = other_name;
    struct source *first = source_fixture_own(&config);
    struct source *second = source_fixture_open(&other);
    cr_assert_eq(source_fixture_expect(second, SOURCE_STANDBY).lease_until_us, 0);
    db_end_session(admin, db_owner(admin));
    (void)source_fixture_expect(second, SOURCE_OWNED);
    const struct source_event event = source_fixture_expect(first, SOURCE_LOST);
    cr_assert_eq(event.lease_until_us, 0);
    cr_assert_eq(event.lost.class, ERROR_CONNECTION);
    cr_assert_not_null(strstr(event.lost.text, kind->words_session_ended), "%s", event.lost.text);
    (void)source_fixture_expect(first, SOURCE_STANDBY);
    second->ops->free(second);
    (void)source_fixture_expect(first, SOURCE_OWNED);
    free(other.dsn);
    source_fixture_close(first, &config);
}

static void
read_name(const char *dsn, char ret_name[SOURCE_OUTBOX_BYTES])
{
    struct source_config config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    struct source *source = source_fixture_open(&config);
    const struct source_owned owned = source_fixture_await_owned(source).owned;
    memcpy(ret_name, owned.outbox, SOURCE_OUTBOX_BYTES);
    source_fixture_close(source, &config);
}

/* Whoever takes it over must call it the same; and fences of different outboxes must not meet at the broker. */
Test(source, an_outbox_has_a_name_of_its_own)
{
    char name[SOURCE_OUTBOX_BYTES];
    char again[SOURCE_OUTBOX_BYTES];
    char other[SOURCE_OUTBOX_BYTES];
    struct db *const second = db_create_second();
    db_load_outbox(second);
    read_name(db_dsn(), name);
    read_name(db_dsn(), again);
    read_name(db_second_dsn(), other);
    cr_assert_gt(strlen(name), 10, "\"%s\"", name);
    cr_assert_eq(strspn(name, "0123456789abcdef."), strlen(name), "\"%s\"", name);
    cr_assert_str_eq(name, again);
    cr_assert_str_neq(name, other);
    db_close(second);
}

static bool
waits_in_server(void)
{
    for (int i = 0; i < 100; i++) { /* a request that was just sent may not be there yet */
        if (db_int(admin, kind->waits_in_server) > 0) {
            return true;
        }
    }
    return false;
}

/* The standby waits, with nothing asked; or its request waits in the server. */
static bool
is_waiting(const struct source *standby)
{
    return kind->waits_in_server != NULL
               ? waits_in_server()
               : standby->ops->deadline_us(standby) < clock_monotonic_us() + CLOCK_S_US;
}

/* True if the standby had the outbox before it would have asked for it, or asked again. */
static bool
hands_over(struct source *owner, struct source *standby)
{
    standby->ops->fit(standby, true);
    (void)source_fixture_expect(standby, SOURCE_STANDBY);
    while (!is_waiting(standby)) {
        source_fixture_turn(standby);
    }
    const uint64_t asks_us = standby->ops->deadline_us(standby);
    owner->ops->free(owner);
    (void)source_fixture_expect(standby, SOURCE_OWNED);
    return clock_monotonic_us() < asks_us;
}

/* Once is proof: without being told it is always later. */
Test(source, an_owner_that_ends_hands_over_at_once)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *owner = source_fixture_own(&config);
    bool at_once = false;
    for (int i = 0; i < 20 && !at_once; i++) {
        struct source *standby = source_fixture_open(&config);
        at_once = hands_over(owner, standby);
        owner = standby;
    }
    cr_assert(at_once, "it asks from time to time only");
    source_fixture_close(owner, &config);
}

static bool
has_rival(struct source *owner)
{
    owner->ops->rival(owner, clock_monotonic_us());
    return source_fixture_expect(owner, SOURCE_RIVAL).rival;
}

Test(source, an_owner_can_leave_the_outbox_to_a_fit_relay)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *first = source_fixture_own(&config);
    struct source *second = source_fixture_open(&config);
    (void)source_fixture_expect(second, SOURCE_STANDBY);
    cr_assert_not(has_rival(first), "a relay that is not fit");
    second->ops->fit(second, true);
    while (!has_rival(first)) {
        source_fixture_turn(second);
    }
    first->ops->yield(first, clock_monotonic_us());
    const struct source_event event = source_fixture_expect(first, SOURCE_YIELDED);
    cr_assert_eq(event.lease_until_us, 0);
    (void)source_fixture_expect(second, SOURCE_OWNED);
    (void)source_fixture_expect(first, SOURCE_STANDBY);
    second->ops->free(second);
    (void)source_fixture_expect(first, SOURCE_OWNED); /* nobody else is there */
    source_fixture_close(first, &config);
}

static void
expect_no_event_for(struct source *source, uint64_t time_us)
{
    const uint64_t until_us = clock_monotonic_us() + time_us;
    struct source_event event;
    while (clock_monotonic_us() < until_us) {
        source_fixture_turn(source);
        cr_assert_not(source->ops->next(source, &event), "event %d", event.type);
    }
}

/* The fit one is late: nobody lets it work at first. */
Test(source, a_relay_that_is_not_fit_leaves_the_outbox_to_one_that_is)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *owner = source_fixture_own(&config);
    struct source *fit = source_fixture_open(&config);
    struct source *unfit = source_fixture_open(&config);
    (void)source_fixture_expect(fit, SOURCE_STANDBY);
    (void)source_fixture_expect(unfit, SOURCE_STANDBY);
    fit->ops->fit(fit, true);
    while (!has_rival(owner)) {
        source_fixture_turn(fit);
    }
    owner->ops->free(owner);
    expect_no_event_for(unfit, 2 * CLOCK_S_US);
    (void)source_fixture_expect(fit, SOURCE_OWNED);
    fit->ops->free(fit);
    (void)source_fixture_expect(unfit, SOURCE_OWNED);
    source_fixture_close(unfit, &config);
}

Test(source, an_owner_that_is_silent_loses_its_ownership)
{
    struct source_config config = source_fixture_here(5 * CLOCK_S_US);
    struct source_config other = source_fixture_here(10 * CLOCK_S_US);
    struct source *silent = source_fixture_open(&config);
    const uint64_t lease_until_us = source_fixture_expect(silent, SOURCE_OWNED).lease_until_us;
    struct source *second = source_fixture_open(&other);
    (void)source_fixture_expect(second, SOURCE_STANDBY);
    (void)source_fixture_expect(second, SOURCE_OWNED);
    cr_assert_geq(clock_monotonic_us(), lease_until_us, "owned by two at a time");
    const struct error lost = source_fixture_expect(silent, SOURCE_LOST).lost;
    cr_assert_eq(lost.class, ERROR_CONNECTION, "%s", lost.text);
    cr_assert(kind->words_silent == NULL || strstr(lost.text, kind->words_silent) != NULL, "%s",
              lost.text);
    source_fixture_close(silent, &config);
    source_fixture_close(second, &other);
}

Test(source, pings_renew_the_lease)
{
    struct source_config config = source_fixture_here(4 * CLOCK_S_US);
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

/* An account with all rights that the relay needs; it has the name of the database, which no other test has. */
static const char *
create_user(void)
{
    static char name[64];
    (void)snprintf(name, sizeof(name), "source_test_%ld", (long)getpid()); /* fits */
    db_create_user(admin, name, "secret");
    return name;
}

Test(source, comes_back_after_an_outage)
{
    const char *user = create_user();
    db_grant_relay(admin, user);
    struct source_config config = source_fixture_here_as(user, 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    const struct fetch fetch = fetch_after(0);
    db_shut_out(admin, user, true);
    db_end_sessions_of(admin, user);
    cr_assert_eq(source_fixture_expect(source, SOURCE_LOST).lease_until_us, 0);
    source->ops->fetch(source, &fetch, clock_monotonic_us()); /* not owned: no answer */
    struct source_event event = source_fixture_expect(source, SOURCE_LOST);
    cr_assert_not_null(strstr(event.lost.text, kind->words_shut_out), "%s", event.lost.text);
    db_shut_out(admin, user, false);
    do {
        event = source_fixture_next(source);
    } while (event.type == SOURCE_LOST || event.type == SOURCE_STANDBY);
    cr_assert_eq(event.type, SOURCE_OWNED);
    batch_free(source_fixture_fetch(source, fetch));
    source_fixture_close(source, &config);
    db_drop_user(admin, user);
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
    struct source_config config = source_fixture_here_with(more, 10 * CLOCK_S_US);
    return refusal(&config);
}

static void
expect_refusal(struct error error, enum error_class class, const char *words)
{
    cr_assert_eq(error.class, class, "%s", error.text);
    cr_assert_not_null(strstr(error.text, words), "%s", error.text);
}

Test(source, says_that_the_password_is_refused)
{
    const struct error error = refusal_of("password='open sesame'");
    expect_refusal(error, ERROR_CONFIG, kind->words_bad_password);
    cr_assert_null(strstr(error.text, "sesame"));
}

/* A file that became a pipe while the relay ran: the library would wait for its writer, and nothing would end that. */
Test(source, says_that_a_file_of_the_dsn_is_a_pipe)
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

Test(source, says_that_the_database_is_not_there)
{
    expect_refusal(refusal_of("dbname=nowhere"), ERROR_CONFIG, kind->words_no_database);
}

Test(source, says_that_nobody_listens)
{
    expect_refusal(refusal_of("host=127.0.0.1 port=1"), ERROR_CONNECTION,
                   kind->words_nobody_listens);
}

Test(source, says_which_version_of_the_tables_it_needs)
{
    db_exec(admin, "update outbox_schema set version = 7");
    expect_refusal(refusal_of(""), ERROR_CONFIG,
                   "version 7, this relay needs version 1: use the relay that fits");
}

static void
set_relay_version(int version)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "update outbox_relay_schema set version = %d",
                   version); /* fits */
    db_exec(admin, sql);
}

Test(source, says_which_version_of_its_own_tables_it_needs)
{
    char words[100];
    const int needed = kind->relay_version;
    set_relay_version(needed - 1);
    (void)snprintf(words, sizeof(words),
                   "version %d, this relay needs version %d: run `outbox-relay init`", needed - 1,
                   needed); /* fits */
    expect_refusal(refusal_of(""), ERROR_CONFIG, words);
    set_relay_version(needed + 1);
    expect_refusal(refusal_of(""), ERROR_CONFIG, "use the relay that fits");
    db_exec(admin, "drop table outbox_relay_schema");
    expect_refusal(refusal_of(""), ERROR_CONFIG, "run `outbox-relay init`");
}

Test(source, says_that_the_tables_are_missing)
{
    db_exec(admin, "drop table outbox cascade");
    expect_refusal(refusal_of(""), ERROR_CONFIG, "outbox-relay init");
}

static void
expect_refusal_of(const char *user, uint64_t keep_sent_us, const char *words)
{
    struct source_config config = source_fixture_here_as(user, 10 * CLOCK_S_US);
    config.keep_sent_us = keep_sent_us;
    const struct error error = refusal(&config);
    expect_refusal(error, ERROR_CONFIG, words);
    cr_assert_null(strstr(error.text, "outbox_sent_batch"), "it works without that");
}

/* It says so before anything else, and works. */
static void
expect_no_record(const char *user)
{
    struct source_config config = source_fixture_here_as(user, 10 * CLOCK_S_US);
    config.keep_sent_us = CLOCK_S_US;
    struct source *const source = source_fixture_open(&config);
    const struct source_event event = source_fixture_next(source);
    cr_assert_eq(event.type, SOURCE_NOTICE);
    cr_assert_not_null(strstr(event.notice.error.text, kind->words_no_keep), "%s",
                       event.notice.error.text);
    source_fixture_close(source, &config);
}

Test(source, says_which_privilege_is_missing)
{
    const char *user = create_user();
    db_grant(admin, user, "select", "outbox");
    db_grant(admin, user, "select", "outbox_schema");
    db_grant(admin, user, "select", "outbox_relay_schema");
    expect_refusal_of(user, CLOCK_S_US, kind->words_no_privileges);
    db_grant_relay(admin, user);
    db_revoke(admin, user, "insert", "outbox_sent_batch");
    expect_no_record(user);
    struct source_config config = source_fixture_here_as(user, 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    source_fixture_insert(admin, 1);
    batch_free(source_fixture_fetch(source, fetch_after(0)));
    (void)source_fixture_watermark(source);
    settle(source, (int64_t[]){1}, 1);
    cr_assert_eq(db_int(admin, "select count(*) from outbox"), 0);
    source_fixture_close(source, &config);
    db_drop_user(admin, user);
}

Test(source, a_table_that_goes_away_is_a_loss_with_words)
{
    struct source_config config = source_fixture_here(10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    const struct fetch fetch = fetch_after(0);
    db_exec(admin, "drop table outbox cascade");
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    expect_refusal(source_fixture_expect(source, SOURCE_LOST).lost, ERROR_CONFIG,
                   kind->words_no_table);
    source_fixture_close(source, &config);
}
