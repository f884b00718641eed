/* tests/integration/traffic_fixture.h - applications that write while the relay works, and the
 * ledger that says what became of it.
 *
 * Each transaction counts its account up by one and writes that into the outbox: key "k7", payload
 * "k7 42". The row of the account is locked before the outbox id is taken, as an application must,
 * so the numbers of a key are the order of its commits. Whatever happens to the connections, the
 * table "account" says in the end what was committed. */
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
    unsigned transactions; /* of each writer; 0: until traffic_end */
    unsigned rollback_percent;
    unsigned open_us_max;  /* how long a transaction stays open after its insert, at most */
    unsigned pause_us_max; /* between two transactions */
};

struct traffic;

/* The accounts, in the database of db_fixture.h; once, before the first traffic. */
void traffic_set_up(struct db *db);

/* Starts the writers. They survive the loss of their connections. */
struct traffic *traffic_start(const struct traffic_options *options);

/* The same with four writers, who rest between their transactions, until traffic_end. */
struct traffic *traffic_start_steady(const char *routing_key);

/* Lets them finish what they do (all of it, if `transactions` was given) and frees. */
void traffic_end(struct traffic *traffic);

/* So many messages of each of the keys 0 to keys - 1, in the transaction that is open; or in one of their own. */
void traffic_add(struct db *db, const char *routing_key, unsigned keys, unsigned per_key);
void traffic_burst(struct db *db, const char *routing_key, unsigned keys, unsigned per_key);

/* The same with payloads of at least so many bytes. */
void traffic_large(struct db *db, const char *routing_key, unsigned keys, unsigned per_key,
                   unsigned bytes);

/* Messages that were committed so far. */
int64_t traffic_committed(struct db *db);

struct ledger;

struct ledger *ledger_new(void);
void ledger_free(struct ledger *ledger);

/* Fails the test if this message breaks the order of its key as a consumer sees it after leaving
 * out duplicates, or was never committed. */
void ledger_note(struct ledger *ledger, const struct delivery *delivery);

/* Takes messages until so many different ones have come, in all. */
void ledger_take(struct ledger *ledger, struct consumer *consumer, uint64_t distinct);

/* Takes messages until `committed` different ones have come: nothing is lost. Then waits for the
 * outbox to be empty. */
void ledger_balance(struct ledger *ledger, struct consumer *consumer, struct db *db);

/* The same, from a consumer of its own, with a new ledger: returns the number of duplicates. */
uint64_t ledger_check(const char *uri, const char *queue, struct db *db);

uint64_t ledger_distinct(const struct ledger *ledger);
uint64_t ledger_duplicates(const struct ledger *ledger);

/* Waits until the outbox has no row, and nothing is held but scheduled messages. */
void await_empty_outbox(struct db *db);

#endif
