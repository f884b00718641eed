/* tests/unit/binlog_driver.h - one decoder of the binary log, fed with files that real servers wrote (captured by
 * tests/fuzz/capture_binlog) or with events that a test makes. Each event has memory of its own size, so the sanitizer
 * notices a read outside of it. */
#ifndef TESTS_UNIT_BINLOG_DRIVER_H
#define TESTS_UNIT_BINLOG_DRIVER_H

#include "relay/mysql/binlog_private.h"

#define BINLOG_FILE_BYTES_MAX 8192
#define BINLOG_COLUMNS 12
#define BINLOG_SERVERS 3
#define BINLOG_FILE (UINT64_C(1) << 32) /* where the first file begins */
/* 2024-05-06 07:08:09.123456, the time in the captured scenes. */
#define BINLOG_CREATED_AT_US INT64_C(1714979289123456)

extern const char *const binlog_servers[BINLOG_SERVERS];
extern const char *const binlog_columns[BINLOG_COLUMNS]; /* the outbox as init creates it */

/* The state, which tests may read. */
extern uint8_t binlog_file[BINLOG_FILE_BYTES_MAX];
extern size_t binlog_file_size;
extern struct reader binlog_events; /* the events of the file that were not fed yet */
extern struct my_binlog *binlog;
extern struct my_binlog_item binlog_item; /* the last item */
extern struct error binlog_error;
extern char binlog_trace[1024]; /* the results as text: "1 (2) prepared X'61',X'',1 config: …" */

/* For a TestSuite. */
void binlog_setup(void);
void binlog_teardown(void);

/* A new decoder. */
void binlog_begin(uint64_t position, const char *const *columns, size_t column_count);
/* The same, for this captured scene as the first file. */
void binlog_open(const char *server, const char *scene);

bool binlog_feed(const void *bytes, size_t size);
bool binlog_feed_next(void);
/* Takes all items of the last event into the trace. False: it ended with an error. */
bool binlog_take(void);
/* Takes the rest of the file into the trace and returns the trace; an error appears as its class and its first
 * words. */
const char *binlog_read_all(void);
/* The same for each server's file of this name. */
void binlog_expect_scene(const char *scene, const char *expected);
/* The next row of the file. */
const struct row *binlog_next_row(void);

/* Events that a test makes. `end`: where the event ends in the file; 0: none. */
void binlog_make(unsigned type, unsigned flags, uint32_t end, const void *body, size_t size);
void binlog_make_rotate(unsigned flags, uint64_t offset, const char *name);
void binlog_make_query(uint32_t end, const char *text);
void binlog_make_query_in(const char *schema, uint32_t end, const char *text);
extern struct binlog_made {
    uint8_t bytes[4096];
    size_t size;
} binlog_made;                                       /* the last one made */
void binlog_put_number(uint64_t value, size_t size); /* adds a number to the body */

bool binlog_feed_made(void);
void binlog_expect_good(void);
void binlog_expect_refused(enum error_class class, const char *words);
void binlog_begin_transaction(void);
void binlog_commit_at(uint32_t end);

#endif
