#include "tests/integration/traffic_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/integration/relay_fixture.h"

struct writer {
    struct traffic *traffic;
    pthread_t thread;
    struct random random;
    struct db *db; /* NULL while the server does not answer */
};

struct traffic {
    struct traffic_options options;
    atomic_bool stopping;
    struct writer writers[TRAFFIC_WRITERS_MAX];
};

void
traffic_set_up(struct db *db)
{
    char sql[256];
    db_exec(db,
            "create table account (\"key\" varchar(10) primary key, number int not null unique, "
            "seq bigint not null)");
    (void)snprintf(sql, sizeof(sql),
                   "insert into account (\"key\", number, seq) select concat('k', i), i, 0 "
                   "from " DB_SERIES("0", "%d"),
                   TRAFFIC_KEYS_MAX - 1);
    db_exec(db, sql);
}

static void
nap(struct writer *writer, unsigned us_max)
{
    if (us_max > 0) {
        (void)usleep((useconds_t)random_between(&writer->random, 0, us_max));
    }
}

/* Writes the outbox row; the row of the account must be locked. */
static bool
insert(struct writer *writer)
{
    const struct traffic_options *options = &writer->traffic->options;
    char sql[512];
    const unsigned key =
        options->first_key + (unsigned)random_between(&writer->random, 0, options->keys - 1);
    (void)snprintf(sql, sizeof(sql),
                   "update account set seq = seq + 1 where \"key\" = 'k%u'; "
                   "insert into outbox (routing_key, \"key\", payload) "
                   "select '%s', \"key\", bytes(concat(\"key\", ' ', seq)) from account "
                   "where \"key\" = 'k%u'",
                   key, options->routing_key, key); /* fits */
    return db_try(writer->db, sql);
}

/* False if the connection broke; then it is unknown whether the transaction was committed. */
static bool
transact(struct writer *writer)
{
    const struct traffic_options *options = &writer->traffic->options;
    if (!db_try(writer->db, "begin") || !insert(writer)) {
        return false;
    }
    nap(writer, options->open_us_max);
    return db_try(writer->db, random_chance(&writer->random, options->rollback_percent) ? "rollback"
                                                                                        : "commit");
}

static void
reconnect(struct writer *writer)
{
    do {
        db_close(writer->db);
        writer->db = db_try_connect();
    } while (writer->db == NULL && !atomic_load(&writer->traffic->stopping) && usleep(20000) == 0);
}

static void *
write_messages(void *argument)
{
    struct writer *writer = argument;
    const struct traffic_options *options = &writer->traffic->options;
    reconnect(writer);
    for (unsigned i = 0; options->transactions == 0 ? !atomic_load(&writer->traffic->stopping)
                                                    : i < options->transactions;
         i++) {
        if (writer->db == NULL || !transact(writer)) {
            reconnect(writer);
        }
        nap(writer, options->pause_us_max);
    }
    db_close(writer->db);
    return NULL;
}

struct traffic *
traffic_start(const struct traffic_options *options)
{
    struct traffic *traffic = calloc(1, sizeof(*traffic));
    check(traffic != NULL, "out of memory");
    check(options->writers <= TRAFFIC_WRITERS_MAX &&
              options->first_key + options->keys <= TRAFFIC_KEYS_MAX,
          "too many writers or keys");
    traffic->options = *options;
    for (unsigned i = 0; i < options->writers; i++) {
        struct writer *writer = &traffic->writers[i];
        writer->traffic = traffic;
        random_seed(&writer->random, clock_wall_us() + i);
        check(pthread_create(&writer->thread, NULL, write_messages, writer) == 0,
              "cannot start a thread");
    }
    return traffic;
}

struct traffic *
traffic_start_steady(const char *routing_key)
{
    return traffic_start(&(struct traffic_options){.routing_key = routing_key,
                                                   .writers = 4,
                                                   .keys = 20,
                                                   .rollback_percent = 5,
                                                   .open_us_max = 2000,
                                                   .pause_us_max = 20000});
}

void
traffic_end(struct traffic *traffic)
{
    atomic_store(&traffic->stopping, true);
    for (unsigned i = 0; i < traffic->options.writers; i++) {
        (void)pthread_join(traffic->writers[i].thread, NULL); /* fails only without a thread */
    }
    free(traffic);
}

/* `more` is SQL for the text after the number. */
static void
add_messages(struct db *db, const char *routing_key, unsigned keys, unsigned per_key,
             const char *more)
{
    char sql[1024];
    (void)snprintf(sql, sizeof(sql),
                   "update account set seq = seq + %u where number < %u; "
                   "insert into outbox (routing_key, \"key\", payload) "
                   "select '%s', \"key\", bytes(concat(\"key\", ' ', seq - %u + i, %s)) "
                   "from account cross join " DB_SERIES("1", "%u") " where number < %u order by i",
                   per_key, keys, routing_key, per_key, more, per_key, keys); /* fits */
    db_exec(db, sql);
}

void
traffic_add(struct db *db, const char *routing_key, unsigned keys, unsigned per_key)
{
    add_messages(db, routing_key, keys, per_key, "''");
}

void
traffic_burst(struct db *db, const char *routing_key, unsigned keys, unsigned per_key)
{
    db_exec(db, "begin");
    traffic_add(db, routing_key, keys, per_key);
    db_exec(db, "commit");
}

void
traffic_large(struct db *db, const char *routing_key, unsigned keys, unsigned per_key,
              unsigned bytes)
{
    char more[64];
    (void)snprintf(more, sizeof(more), "concat(' ', repeat('x', %u))", bytes); /* fits */
    db_exec(db, "begin");
    add_messages(db, routing_key, keys, per_key, more);
    db_exec(db, "commit");
}

int64_t
traffic_committed(struct db *db)
{
    return db_int(db, "select sum(seq) from account");
}

/* For each key the messages so far, as numbers computed from their message-ids: the n-th has number n. */
struct account {
    uint64_t *messages;
    uint64_t count;
    uint64_t room;
};

struct ledger {
    struct account accounts[TRAFFIC_KEYS_MAX];
    uint64_t distinct;
    uint64_t duplicates;
};

struct ledger *
ledger_new(void)
{
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    check(ledger != NULL, "out of memory");
    return ledger;
}

void
ledger_free(struct ledger *ledger)
{
    for (unsigned i = 0; i < TRAFFIC_KEYS_MAX; i++) {
        free(ledger->accounts[i].messages);
    }
    free(ledger);
}

static uint64_t
number_of(const char *message_id)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *c = message_id; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
    }
    return hash;
}

static void
add(struct account *account, uint64_t message)
{
    if (account->count == account->room) {
        account->room = account->room == 0 ? 256 : 2 * account->room;
        account->messages = realloc(account->messages, account->room * sizeof(*account->messages));
        check(account->messages != NULL, "out of memory");
    }
    account->messages[account->count++] = message;
}

void
ledger_note(struct ledger *ledger, const struct delivery *delivery)
{
    char *end;
    const unsigned long key = strtoul(delivery->body + 1, &end, 10);
    const uint64_t seq = strtoull(end, NULL, 10);
    check(delivery->body[0] == 'k' && key < TRAFFIC_KEYS_MAX && seq > 0,
          "a message that nobody wrote: \"%s\"", delivery->body);
    struct account *account = &ledger->accounts[key];
    const uint64_t message = number_of(delivery->message_id);
    check(seq <= account->count + 1,
          "out of order: \"%s\" came while number %llu was still to come", delivery->body,
          (unsigned long long)account->count + 1);
    if (seq == account->count + 1) {
        add(account, message);
        ledger->distinct++;
        return;
    }
    ledger->duplicates++;
    check(account->messages[seq - 1] == message,
          "\"%s\" came with two message ids: one of them was rolled back", delivery->body);
}

static bool
is_empty(void *context)
{
    return db_int(context, "select (select count(*) from outbox) + "
                           "(select count(*) from outbox_held where state <> 'scheduled')") == 0;
}

void
await_empty_outbox(struct db *db)
{
    await(is_empty, db, "the outbox is empty, and nothing is held", PATIENCE_S);
}

void
ledger_take(struct ledger *ledger, struct consumer *consumer, uint64_t distinct)
{
    struct delivery delivery;
    while (ledger->distinct < distinct) {
        check(consumer_take_within(consumer, PATIENCE_S * CLOCK_S_US, &delivery),
              "lost: %llu messages should come, %llu came", (unsigned long long)distinct,
              (unsigned long long)ledger->distinct);
        ledger_note(ledger, &delivery);
    }
}

void
ledger_balance(struct ledger *ledger, struct consumer *consumer, struct db *db)
{
    ledger_take(ledger, consumer, (uint64_t)traffic_committed(db));
    await_empty_outbox(db);
}

/* The messages that are left in the queue may only be duplicates. */
static void
note_rest(struct ledger *ledger, struct consumer *consumer)
{
    struct delivery delivery;
    while (consumer_take_within(consumer, CLOCK_S_US / 2, &delivery)) {
        ledger_note(ledger, &delivery);
    }
}

uint64_t
ledger_check(const char *uri, const char *queue, struct db *db)
{
    struct ledger *ledger = ledger_new();
    struct consumer *consumer = consumer_open(uri, queue);
    ledger_balance(ledger, consumer, db);
    note_rest(ledger, consumer);
    const uint64_t committed = (uint64_t)traffic_committed(db);
    const uint64_t duplicates = ledger->duplicates;
    (void)fprintf(stderr, "ledger: committed=%llu delivered=%llu duplicates=%llu\n",
                  (unsigned long long)committed, (unsigned long long)ledger->distinct,
                  (unsigned long long)duplicates);
    check(ledger->distinct == committed, "messages came that were rolled back: %llu committed",
          (unsigned long long)committed);
    consumer_close(consumer);
    ledger_free(ledger);
    return duplicates;
}

uint64_t
ledger_distinct(const struct ledger *ledger)
{
    return ledger->distinct;
}

uint64_t
ledger_duplicates(const struct ledger *ledger)
{
    return ledger->duplicates;
}
