#ifndef TESTS_INTEGRATION_SOURCE_HELD_FIXTURE_H
#define TESTS_INTEGRATION_SOURCE_HELD_FIXTURE_H
/* tests/integration/source_held_fixture.h - a source, its outbox and an administrator's connection, for tests of messages that are
 * set aside. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/integration/db_fixture.h"
#include "tests/integration/source_fixture.h"

#define HOUR_US (3600 * CLOCK_S_US)

#define HELD_IDS(table) "select group_concat(concat(id) order by id) from " table

/* Yes is t in PostgreSQL, and 1 elsewhere. */
#define HELD_SKIPPED "case when skipped then 1 else 0 end"
#define HELD_HAS_TIME "case when next_attempt_at is null then 0 else 1 end"

extern struct db *admin;
extern struct source_config config;
extern struct source *source;

void held_create(void);
void held_drop(void);

/* As the administrator. */
void held_run(const char *sql);
int64_t held_count(const char *sql);
void held_expect_text(const char *sql, const char *expected);

/* None of them may be missing. */
void held_hold(const struct hold *holds, size_t holds_count);

/* So many, from this id on; none may be missing. */
void held_hold_from(int64_t first_id, size_t holds_count, enum held_state state);
/* Of those that wait, what has the key k. */
struct source_released held_give_back(void);

/* A relay that begins only now. */
void held_reopen(void);

/* The time of last_time() is so far away. */
bool held_is_never(uint64_t in_us);

/* The source is another's, who has no such right, "insert", to this table, which is no row's fault; and has it again. */
void held_be_without_right(const char *right, const char *table);
void held_give_right_back(const char *right, const char *table);

#endif
