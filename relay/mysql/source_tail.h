/* relay/mysql/source_tail.h - the MySQL source's second session, to which the server sends its binary log as to a
 * replica. It connects to the same server as the owning session, and never outlives the ownership.
 *
 *   source_tail.c       the state machine
 *   source_tail_open.c  what the second session asks before it becomes a replica
 *   source_tail_read.c  becoming a replica; reading rows and positions
 *
 * It needs no slot and leaves nothing behind: the server itself decides how long it keeps its log. If the place to read
 * from is gone, the log is begun at a later place, and the table has the rows between.
 *
 * Nothing is read before the pipeline asks for it: what the server has sent stays in its socket. If that lasts, the
 * server ends the session (net_write_timeout), and the log is begun again.
 *
 * The log is ahead of the table: the server writes a transaction to the log before the engine commits it, and with
 * semi-synchronous replication waits for a replica in between. So each row is looked up in the table before it is
 * published (relay/core/pipeline_tail.c).
 *
 * Where reading begins: the columns of the outbox have no names in the log (binlog_table.h), so not before the place
 * where they were first seen as they are now; earlier rows could be of another table. A later change appears in the
 * log. */
#ifndef RELAY_MYSQL_SOURCE_TAIL_H
#define RELAY_MYSQL_SOURCE_TAIL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mysql/client.h"
#include "relay/mysql/binlog.h"
#include "relay/mysql/link.h"
#include "relay/mysql/log_end.h"
#include "relay/mysql/position.h"
#include "relay/mysql/prepared.h"
#include "relay/mysql/row_copies.h"
#include "relay/mysql/tail_columns.h"
#include "relay/ports/log_position.h"

#define MY_TOKEN_BYTES 64 /* the longest name of a lock, with the zero byte */

enum my_tail_state {
    MY_TAIL_OFF,
    MY_TAIL_MARKING,    /* the owning session takes a lock by which its server can be recognised */
    MY_TAIL_CONNECTING, /* from here on the second link exists */
    MY_TAIL_OPENING,
    MY_TAIL_STARTING,
    MY_TAIL_STREAMING,
};

/* Takes a lock with a random name that nobody else knows. */
struct my_tail_mark {
    struct my_job job;
    char token[MY_TOKEN_BYTES];
    bool out;
    bool done; /* the owning session holds the lock */
};

struct my_tail_open {
    struct my_job job;
    char token[MY_TOKEN_BYTES];
    /* The results: */
    struct my_tail_columns columns;
    struct my_log_end end;
    bool checksums;
};

/* The state of the second session once it is a replica. */
struct my_tail_stream {
    struct mysql_client_log log;
    char file[MY_LOG_NAME_BYTES]; /* where reading begins */
    uint32_t offset;
    struct my_binlog *binlog;
    struct my_prepared *prepared;
    struct my_row_copies committed; /* rows of a committed XA transaction, to be given next */
    size_t committed_at;            /* the first that was not given yet */
    bool ended;                     /* the server ended the log without an error */
    log_position position;          /* everything that was committed before has been given */
};

struct my_tail_start {
    struct my_job job;
    struct my_tail_stream *stream;
};

struct my_tail_read {
    struct my_job job;
    struct my_tail_stream *stream;
    bool out;
    uint32_t rows_max;
    uint64_t bytes_max;
    log_position told; /* the position of the last SOURCE_LOG */
    uint64_t told_us;
    /* The results: */
    struct my_row_copies rows;
    uint64_t first_us; /* when the first of them was read */
    bool is_full;
};

struct my_tail {
    enum my_tail_state state;
    struct my_link *link;
    uint64_t deadline_us;  /* of the states before STREAMING */
    log_position position; /* where reading begins */
    struct my_tail_mark mark;
    struct my_tail_columns columns; /* as they were last seen */
    log_position columns_since;     /* since when they have been so; 0: not known */
    struct my_tail_open open;
    struct my_tail_stream stream;
    struct my_tail_start start;
    struct my_tail_read read;
};

/* Frees everything without an event: the ownership has ended, or the source is freed. */
void my_tail_stop(struct source_mysql *self);

/* The log is numbered anew (RESET MASTER): ends the ownership, because everything that is known about positions must be
 * forgotten. */
void my_tail_begun_anew(struct source_mysql *self, uint64_t now_us);

/* The functions of source_ops; only while the outbox is owned. */
void my_tail_begin(struct source_mysql *self, log_position position, uint64_t now_us);
void my_tail_end(struct source_mysql *self);
void my_tail_more(struct source_mysql *self, uint32_t rows_max, uint64_t bytes_max);
void my_tail_poll(const struct source_mysql *self, struct pollfd *ret_poll);
uint64_t my_tail_deadline_us(const struct source_mysql *self);
void my_tail_process(struct source_mysql *self, uint64_t now_us);

/* For these files only: jobs of the second session. */
bool my_tail_open_run(struct my_session *session, struct my_job *job);
bool my_tail_start_run(struct my_session *session, struct my_job *job);
bool my_tail_read_run(struct my_session *session, struct my_job *job);
void my_tail_stream_done(struct my_tail_stream *stream);

#endif
