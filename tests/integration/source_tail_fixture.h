/* tests/integration/source_tail_fixture.h - a source that may read its log, its outbox and an administrator's connection. */
#ifndef TESTS_INTEGRATION_SOURCE_TAIL_FIXTURE_H
#define TESTS_INTEGRATION_SOURCE_TAIL_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/source_fixture.h"

#define ROWS_MAX 1000
#define WAIT_US (30 * CLOCK_S_US)
/* Longer than any statement of these tests, while which the source does not work. */
#define TAKEOVER_US (60 * CLOCK_S_US)
/* Far above what it takes; what is told by the clock alone is told every 10 s or 30 s. */
#define AT_ONCE_US (8 * CLOCK_S_US)

extern struct db *admin;
extern struct source_config config;
extern struct source *source;

/* The source owns the outbox, and has not begun to read. */
void tail_create(void);
void tail_drop(void);
/* As a relay that begins only now, by what `config` says. */
void tail_reopen(void);

/* As the administrator. */
void tail_run(const char *sql);

/* So many rows, which must have the ids from `first` on by `step`; in how many batches they like. */
void tail_expect_rows(int64_t first, int64_t step, size_t count);
/* The first batch with a row in it. */
struct source_log tail_first_rows(uint32_t rows_max);
/* Until the log has told that it was read so far or farther; nothing of the outbox may be in it. */
log_position tail_expect_position(log_position position);
/* Where the log of the server ends. */
log_position tail_log_end(void);

/* It is not read, or not any more, and says why; what is of no interest comes before. */
struct error tail_refusal(enum error_class class);
void tail_expect_words(const struct error *error, const char *words);
/* Asked for, it is refused; and an operator is told what it is and what to do. */
void tail_expect_refused(const char *what, const char *remedy);
void tail_expect_notice(const char *words);

/* The session that is sent the log: ends it, or waits until there is none. */
void tail_end_reader(void);
void tail_await_no_reader(void);

#endif
