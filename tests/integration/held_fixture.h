/* tests/integration/held_fixture.h - a database with the relay's tables, held messages in it, and a configuration
 * "relay.conf" that names it as source "orders", for tests of the commands that look at them. */
#ifndef TESTS_INTEGRATION_HELD_FIXTURE_H
#define TESTS_INTEGRATION_HELD_FIXTURE_H

#include <jansson.h>

#include "base/error.h"
#include "tests/integration/db_fixture.h"

/* Enters the directory of cli_fixture.h and makes all that; the time zone is UTC. */
struct db *held_fixture_create(void);
void held_fixture_drop(struct db *db);

/* A held message: the digits of its message id are those of its id. key NULL: none. Then `changes` are made to it, as in
 * "attempts = 3, last_error = 'x'". It is held for 3 min and was written 10 min ago. */
void held_put(struct db *db, int id, const char *key, const char *state, const char *changes);
#define HELD_UUID(digits) "00000000-0000-7000-8000-0000000000" digits

/* Runs `outbox-relay arguments -c relay.conf` and asserts what it says to stdout and stderr, and its exit status. */
void held_expect(const char *arguments, int status, const char *expected_stdout,
                 const char *expected_stderr);

/* Runs it and gives back its document, for json_decref. */
json_t *held_json(const char *arguments, int status);

/* Runs SQL with values put in; the first column of its first row. */
const char *held_query(struct db *db, const char *format, ...) PRINTF_LIKE(2, 3);

/* `text` with TIME for each time such as "2026-11-23 10:00:00+00:00". Static. */
const char *held_timeless(const char *text);

#endif
