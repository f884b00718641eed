/* One message in a hundred cannot be routed. The others must hardly be delayed; each held message must have its reason;
 * and once the binding exists, all messages of the keys with bad ones must arrive, in order. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/table.h"
#include "base/clock.h"
#include "relay/rabbit/headers.h"
#include "tests/bench/bench.h"

#define EXCHANGE "amq.direct"
#define ROUTING_KEY "bench-poison"
#define POISONED_KEYS 1000
#define HEAL_MAX_US (120 * CLOCK_S_US)
#define LOOK_MS 20
/* Between repairing the route and the retry: refusals from before have been reported by then, and do not postpone the
 * retry. */
#define OPERATOR_MS 1000

/* In every hundred messages the first is a bad one, and the fifty-first a good one of a key that had a bad one 20,000
 * messages before. That is more than can be unconfirmed (window_messages): within the window it might overtake, as
 * ordering = "key" allows. */
static void
fill(PGconn *conn, int64_t messages)
{
    char sql[900];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (exchange, routing_key, key, payload) "
        "select case when bad then '" EXCHANGE "' end, "
        "case when bad then '" ROUTING_KEY "' when good then '" BENCH_QUEUE_POISONED
        "' else '" BENCH_QUEUE "' end, "
        "case when bad then 'p' || (i / 100 %% %d) when good then 'p' || ((i / 100 - 200) %% %d) "
        "else (i %% %d)::text end, "
        "decode(repeat('5a', %d), 'hex') "
        "from (select i, i %% 100 = 0 as bad, i %% 100 = 50 and i >= 20000 as good "
        "from generate_series(0, %lld - 1) i) as numbered order by i",
        POISONED_KEYS, POISONED_KEYS, BENCH_KEYS, BENCH_PAYLOAD_BYTES, (long long)messages);
    bench_empty(conn);
    bench_exec(conn, sql);
    bench_settle_tables(conn);
}

static const char *
log_path(void)
{
    static char path[300];
    (void)snprintf(path, sizeof(path), "%s/bench-poison.log", bench_env("OUTBOX_TEST_DIR"));
    return path;
}

static void
wait_until_none(PGconn *conn, const char *table)
{
    char sql[100];
    const uint64_t start_us = clock_monotonic_us();
    (void)snprintf(sql, sizeof(sql), "select count(*) from (select from %s limit 1) as row", table);
    while (bench_number(conn, sql) > 0) {
        if (clock_monotonic_us() - start_us > HEAL_MAX_US) {
            bench_fail("%s is not empty after two minutes; see %s", table, log_path());
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

/* Every message of the keys with bad ones is held, and each has its reason: it was refused, with the broker's reason,
 * or it waits behind such a message. */
static void
check_explained(PGconn *conn, int64_t poisoned)
{
    const int64_t held = bench_number(conn, "select count(*) from outbox_held where key like 'p%'");
    const int64_t unexplained = bench_number(
        conn, "select count(*) from outbox_held as held "
              "where not (state = 'retrying' and attempts >= 1 and last_error like 'unroutable: %' "
              "and next_attempt_at is not null) "
              "and not (state = 'waiting' and exists (select from outbox_held as head "
              "where head.key = held.key and head.id < held.id and head.state = 'retrying'))");
    if (held != poisoned || unexplained != 0) {
        bench_fail("%lld messages are held of %lld; %lld of them unexplained", (long long)held,
                   (long long)poisoned, (long long)unexplained);
    }
}

/* Does the same as `outbox-relay held retry`; rows are locked in the order of ids, as by the relay. */
static void
retry_all(PGconn *conn)
{
    bench_exec(conn,
               "with chosen as (select id, message_id, key, state from outbox_held "
               "where state = 'retrying' order by id for update), "
               "changed as (update outbox_held as held set next_attempt_at = now() from chosen "
               "where held.id = chosen.id returning held.id) "
               "insert into outbox_held_act (who, what, message_id, held_id, key, state) "
               "select 'bench', 'retry', message_id, id, key, state "
               "from chosen where id in (select id from changed)");
}

static double
mend(PGconn *conn, struct session *session)
{
    struct rabbit_event event;
    rabbit_queue_bind(session_rabbit(session), 1, BENCH_QUEUE_POISONED, EXCHANGE, ROUTING_KEY);
    bench_wait(session, RABBIT_DONE, &event);
    (void)poll(NULL, 0, OPERATOR_MS);
    const uint64_t start_us = clock_monotonic_us();
    retry_all(conn);
    wait_until_none(conn, "outbox_held");
    wait_until_none(conn, "outbox");
    return (double)(clock_monotonic_us() - start_us) / 1e6;
}

/* What the consumer of the keys with bad messages has seen. */
struct ledger {
    int64_t last_id[POISONED_KEYS];
    char *seen; /* by id */
    int64_t ids;
    int64_t count;
    int64_t out_of_order;
};

static struct table_field
header(const struct rabbit_message *message, const char *name)
{
    struct table_field field;
    if (!table_find(message->headers, name, &field)) {
        bench_fail("a message came without %s", name);
    }
    return field;
}

static int64_t
key_number(struct span key)
{
    char text[20] = {0};
    memcpy(text, key.data, key.size < sizeof(text) - 1 ? key.size : sizeof(text) - 1);
    const int64_t number = text[0] == 'p' ? strtoll(text + 1, NULL, 10) : -1;
    if (number < 0 || number >= POISONED_KEYS) {
        bench_fail("a message of the key %s came", text);
    }
    return number;
}

static void
enter(struct ledger *ledger, const struct rabbit_message *message)
{
    const int64_t id = header(message, HEADER_ID).integer;
    int64_t *last_id = &ledger->last_id[key_number(header(message, HEADER_KEY).text)];
    if (id < 1 || id > ledger->ids) {
        bench_fail("a message with the id %lld came", (long long)id);
    }
    if (ledger->seen[id - 1]) {
        return; /* a duplicate, which a consumer ignores */
    }
    ledger->seen[id - 1] = 1;
    ledger->count++;
    ledger->out_of_order += id < *last_id;
    *last_id = id > *last_id ? id : *last_id;
}

static void
consume(struct session *session, struct ledger *ledger)
{
    struct rabbit_event event;
    const uint32_t length = bench_queue_length(session, BENCH_QUEUE_POISONED);
    rabbit_consume(session_rabbit(session), 1, BENCH_QUEUE_POISONED, "bench");
    bench_wait(session, RABBIT_CONSUMING, &event);
    for (uint32_t i = 0; i < length; i++) {
        bench_wait(session, RABBIT_DELIVERED, &event);
        enter(ledger, &event.message);
        rabbit_ack(session_rabbit(session), 1, event.tag, false);
    }
}

static void
check_order(struct session *session, int64_t messages, int64_t poisoned)
{
    struct ledger ledger = {.seen = calloc((size_t)messages, 1), .ids = messages};
    if (ledger.seen == NULL) {
        bench_fail("no memory");
    }
    consume(session, &ledger);
    free(ledger.seen);
    if (ledger.count != poisoned || ledger.out_of_order != 0) {
        bench_fail("of %lld messages of poisoned keys %lld came, %lld out of order",
                   (long long)poisoned, (long long)ledger.count, (long long)ledger.out_of_order);
    }
}

struct bench_poison
bench_poison(int64_t messages, const char *relay_path)
{
    PGconn *conn = bench_connect();
    struct session *session = bench_session();
    fill(conn, messages);
    bench_fresh_queue(session, BENCH_QUEUE);
    bench_fresh_queue(session, BENCH_QUEUE_POISONED);
    const int64_t poisoned = bench_number(conn, "select count(*) from outbox where key like 'p%'");
    const uint64_t start_us = clock_monotonic_us();
    const pid_t relay = bench_relay_start(relay_path, "poll", log_path());
    const double seconds = bench_wait_for_queue(session, messages - poisoned, start_us);
    wait_until_none(conn, "outbox");
    check_explained(conn, poisoned);
    const double seconds_to_heal = mend(conn, session);
    (void)bench_relay_stop(relay);
    check_order(session, messages, poisoned);
    rabbit_queue_delete(session_rabbit(session), 1, BENCH_QUEUE_POISONED);
    struct rabbit_event event;
    bench_wait(session, RABBIT_DONE, &event);
    session_free(session);
    PQfinish(conn);
    return (struct bench_poison){.rate = (double)(messages - poisoned) / seconds,
                                 .held = poisoned,
                                 .seconds_to_heal = seconds_to_heal};
}
