/* tests/unit/binlog_driver.h - one decoder of the binary log, fed with what real servers wrote (taken by
 * tests/fuzz/capture_binlog) or with events of a test's own making. Each event has memory of its own size, so the sanitizer
 * sees what is read outside. */
#ifndef TESTS_UNIT_BINLOG_DRIVER_H
#define TESTS_UNIT_BINLOG_DRIVER_H

#include "relay/mysql/binlog_private.h"

#define BINLOG_FILE_BYTES_MAX 8192
#define BINLOG_COLUMNS 12
#define BINLOG_SERVERS 3
#define BINLOG_FILE (UINT64_C(1) << 32) /* where the first file begins */
/* 2024-05-06 07:08:09.123456, as the scenes have it. */
#define BINLOG_CREATED_AT_US INT64_C(1714979289123456)

extern const char *const binlog_servers[BINLOG_SERVERS];
extern const char *const binlog_columns[BINLOG_COLUMNS]; /* of the outbox, as init makes it */

/* What a test looks at. */
extern uint8_t binlog_file[BINLOG_FILE_BYTES_MAX];
extern size_t binlog_file_size;
extern struct reader binlog_events; /* of the file that are still to come */
extern struct my_binlog *binlog;
extern struct my_binlog_item binlog_item; /* the last */
extern struct error binlog_error;
extern char binlog_trace[1024]; /* what came, in words: "1 (2) prepared X'61',X'',1 config: …" */

/* For a TestSuite. */
void binlog_setup(void);
void binlog_teardown(void);

/* A new decoder. */
void binlog_begin(uint64_t position, const char *const *columns, size_t column_count);
/* The same, for the first file, which is to have been this. */
void binlog_open(const char *server, const char *scene);

bool binlog_feed(const void *bytes, size_t size);
bool binlog_feed_next(void);
/* All that comes of what was fed, into the trace. False: it ended by an error. */
bool binlog_take(void);
/* The rest of the file, into the trace, which it gives back; an error as its class and its first words. */
const char *binlog_read_all(void);
/* The same of each server's file of this name. */
void binlog_expect_scene(const char *scene, const char *expected);
/* The next row of the file. */
const struct row *binlog_next_row(void);

/* Events of our own making. `end` is where they end in the file, 0 for none. */
void binlog_make(unsigned type, unsigned flags, uint32_t end, const void *body, size_t size);
void binlog_make_rotate(unsigned flags, uint64_t offset, const char *name);
void binlog_make_query(uint32_t end, const char *text);
void binlog_make_query_in(const char *schema, uint32_t end, const char *text);
extern struct binlog_made {
    uint8_t bytes[4096];
    size_t size;
} binlog_made;                                       /* the last */
void binlog_put_number(uint64_t value, size_t size); /* behind it */

bool binlog_feed_made(void);
void binlog_expect_good(void);
void binlog_expect_refused(enum error_class class, const char *words);
void binlog_begin_transaction(void);
void binlog_commit_at(uint32_t end);

#endif
