/* tests/integration/source_fixture.h - drives a source as the worker does: polls its descriptor,
 * lets it work, takes its events. Each wait has a deadline, after which the test fails. */
#ifndef TESTS_INTEGRATION_SOURCE_FIXTURE_H
#define TESTS_INTEGRATION_SOURCE_FIXTURE_H

#include "relay/config/config.h"
#include "relay/ports/source.h"

/* A source "orders" at this dsn, of PostgreSQL unless its kind is changed. Freed by source_fixture_close. */
struct source_config source_fixture_config(const char *dsn, uint64_t takeover_us);

struct source *source_fixture_open(const struct source_config *config);
/* The same, once it owns the outbox. */
struct source *source_fixture_own(const struct source_config *config);
/* Until it owns the outbox, for the first time or again: the session of the owner before it may take a while to end. */
struct source_event source_fixture_await_owned(struct source *source);
void source_fixture_close(struct source *source, struct source_config *config);

/* The next event, whatever it is. */
struct source_event source_fixture_next(struct source *source);
/* The next event, which must be of this type; SOURCE_ALIVE and SOURCE_NOTICE are passed over. */
struct source_event source_fixture_expect(struct source *source, enum source_event_type type);

struct batch *source_fixture_fetch(struct source *source, struct fetch fetch);
int64_t source_fixture_watermark(struct source *source);
/* Ask and give back the answer. */
struct source_held source_fixture_hold(struct source *source, const struct hold *holds,
                                       size_t count);
struct source_released source_fixture_release(struct source *source, struct release release);
struct source_heads source_fixture_heads(struct source *source);
struct source_woken source_fixture_wake(struct source *source, uint32_t rows_max);
/* Returns once the log is read, from where it is. */
log_position source_fixture_tail(struct source *source, log_position position);
struct source_log source_fixture_log(struct source *source, uint32_t rows_max);
/* Returns once it was written. */
void source_fixture_status(struct source *source, const struct source_status *status);

#endif
