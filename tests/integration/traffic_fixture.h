/* tests/integration/traffic_fixture.h - applications that write while the relay works, and a ledger that checks the
 * result.
 *
 * Each transaction counts its account up by one and writes the number into the outbox: key "k7", payload "k7 42". It
 * locks the row of the account before it takes the outbox id, as applications must, so the numbers of a key have the
 * order of its commits. Whatever happens to the connections, the table "account" shows in the end what was
 * committed. */
#ifndef TESTS_INTEGRATION_TRAFFIC_FIXTURE_H
#define TESTS_INTEGRATION_TRAFFIC_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/integration/broker_fixture.h"
#include "tests/integration/db_fixture.h"

#define TRAFFIC_KEYS_MAX 1000
#define TRAFFIC_WRITERS_MAX 16

struct traffic_options {
    const char *routing_key;
    unsigned writers;
    unsigned keys;
    unsigned first_key;
    unsigned transactions; /* for each writer; 0: until traffic_end */
    unsigned rollback_percent;
    unsigned open_us_max;  /* the longest time that a transaction stays open after its insert */
    unsigned pause_us_max; /* between two transactions */
};

struct traffic;

/* Creates the accounts in the database of db_fixture.h; once, before the first traffic. */
void traffic_set_up(struct db *db);

/* Starts the writers. They survive the loss of their connections. */
struct traffic *traffic_start(const struct traffic_options *options);

/* The same with four writers, which pause between their transactions, until traffic_end. */
struct traffic *traffic_start_steady(const char *routing_key);

/* Waits until they have finished (all transactions, if `transactions` was given), and frees them. */
void traffic_end(struct traffic *traffic);

/* Writes per_key messages for each of the keys 0 to keys - 1, in the open transaction, or in one of its own. */
void traffic_add(struct db *db, const char *routing_key, unsigned keys, unsigned per_key);
void traffic_burst(struct db *db, const char *routing_key, unsigned keys, unsigned per_key);

/* The same with payloads of at least this many bytes. */
void traffic_large(struct db *db, const char *routing_key, unsigned keys, unsigned per_key,
                   unsigned bytes);

/* The number of messages that were committed so far. */
int64_t traffic_committed(struct db *db);

struct ledger;

struct ledger *ledger_new(void);
void ledger_free(struct ledger *ledger);

/* Fails the test if this message breaks the order of its key, as a consumer sees it that ignores duplicates, or if it
 * was never committed. */
void ledger_note(struct ledger *ledger, const struct delivery *delivery);

/* Takes messages until so many different ones have come in all. */
void ledger_take(struct ledger *ledger, struct consumer *consumer, uint64_t distinct);

/* Takes messages until `committed` different ones have come: nothing is lost. Then waits for the
 * outbox to be empty. */
void ledger_balance(struct ledger *ledger, struct consumer *consumer, struct db *db);

/* The same with a consumer of its own and a new ledger; returns the number of duplicates. */
uint64_t ledger_check(const char *uri, const char *queue, struct db *db);

uint64_t ledger_distinct(const struct ledger *ledger);
uint64_t ledger_duplicates(const struct ledger *ledger);

/* Waits until the outbox has no row, and nothing is held but scheduled messages. */
void await_empty_outbox(struct db *db);

#endif
