/* tests/integration/held_fixture.h - a database with the relay's tables and held messages, and a configuration
 * "relay.conf" that names it as source "orders": for tests of the commands about held messages. */
#ifndef TESTS_INTEGRATION_HELD_FIXTURE_H
#define TESTS_INTEGRATION_HELD_FIXTURE_H

#include <jansson.h>

#include "base/error.h"
#include "tests/integration/db_fixture.h"

/* Enters the directory of cli_fixture.h and creates these; the time zone is UTC. */
struct db *held_fixture_create(void);
void held_fixture_drop(struct db *db);

/* Inserts a held message, whose message id has the digits of its id; key NULL: none. Then applies `changes`, as in
 * "attempts = 3, last_error = 'x'". It was written 10 min ago and set aside 3 min ago. */
void held_put(struct db *db, int id, const char *key, const char *state, const char *changes);
#define HELD_UUID(digits) "00000000-0000-7000-8000-0000000000" digits

/* Runs `outbox-relay arguments -c relay.conf` and asserts its stdout, stderr and exit status. */
void held_expect(const char *arguments, int status, const char *expected_stdout,
                 const char *expected_stderr);

/* Runs it and returns the JSON that it prints, for json_decref. */
json_t *held_json(const char *arguments, int status);

/* Formats and runs SQL; returns the first column of the first row. */
const char *held_query(struct db *db, const char *format, ...) PRINTF_LIKE(2, 3);

/* `text` with TIME for each time such as "2026-11-23 10:00:00+00:00". Static. */
const char *held_timeless(const char *text);

#endif
