/* relay/mysql/source_tail.h - the MySQL source's second session, which is sent the binary log as a replica is. It goes to the
 * very server that the owning session is connected to, and never outlives the ownership.
 *
 *   source_tail.c       the state machine
 *   source_tail_open.c  what the second session asks before it becomes a replica
 *   source_tail_read.c  becoming one; rows in, positions out
 *
 * It needs no slot and leaves nothing behind: the server keeps its log by rules of its own. Where what is to be read is there
 * no more, the log is begun anew at a later place, and the table has what lies between.
 *
 * Nothing is read that is not asked for: what came stays with the server and its socket. If that lasts, the server ends the
 * session (net_write_timeout), and the log is begun anew.
 *
 * The log is ahead of the table: the server writes a transaction to it before the engine commits, and with semi-synchronous
 * replication waits for a replica in between. So what it brings is looked up before it goes (relay/core/pipeline_tail.c).
 *
 * Where it begins. The columns of the outbox have no names in the log (binlog_table.h), so from the place where they were
 * first seen as they are now: rows from before it could be of another table. Of a change from then on the log tells. */
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

#define MY_TOKEN_BYTES 64 /* as the name of any lock, with the zero */

enum my_tail_state {
    MY_TAIL_OFF,
    MY_TAIL_MARKING,    /* the owning session, so that its server can be recognised */
    MY_TAIL_CONNECTING, /* from here on there is a second link */
    MY_TAIL_OPENING,
    MY_TAIL_STARTING,
    MY_TAIL_STREAMING,
};

/* Takes a lock of a name that nobody else knows. */
struct my_tail_mark {
    struct my_job job;
    char token[MY_TOKEN_BYTES];
    bool out;
    bool done; /* the session has it */
};

struct my_tail_open {
    struct my_job job;
    char token[MY_TOKEN_BYTES];
    /* What was found: */
    struct my_tail_columns columns;
    struct my_log_end end;
    bool checksums;
};

/* The second session's, once it is a replica. */
struct my_tail_stream {
    struct mysql_client_log log;
    char file[MY_LOG_NAME_BYTES]; /* from there it is asked for */
    uint32_t offset;
    struct my_binlog *binlog;
    struct my_prepared *prepared;
    struct my_row_copies committed; /* of a prepared transaction: they go next, */
    size_t committed_at;            /* from this one on */
    bool ended;                     /* without an error */
    log_position position;          /* all that was committed before has been given */
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
    log_position told; /* as the last SOURCE_LOG said, */
    uint64_t told_us;
    /* What was read: */
    struct my_row_copies rows;
    uint64_t first_us; /* when the first of them was read */
    bool is_full;
};

struct my_tail {
    enum my_tail_state state;
    struct my_link *link;
    uint64_t deadline_us;  /* of the state, up to STARTING */
    log_position position; /* from where the log is to be read */
    struct my_tail_mark mark;
    struct my_tail_columns columns; /* as they were last seen, */
    log_position columns_since;     /* from here on; 0: they were not */
    struct my_tail_open open;
    struct my_tail_stream stream;
    struct my_tail_start start;
    struct my_tail_read read;
};

/* Lets go of everything, with no event: the ownership is gone, or the source. */
void my_tail_stop(struct source_mysql *self);

/* The log is numbered anew (RESET MASTER): what is known of places in it is forgotten, which is what the end of an ownership is
 * for. */
void my_tail_begun_anew(struct source_mysql *self, uint64_t now_us);

/* source_ops, while owned */
void my_tail_begin(struct source_mysql *self, log_position position, uint64_t now_us);
void my_tail_end(struct source_mysql *self);
void my_tail_more(struct source_mysql *self, uint32_t rows_max, uint64_t bytes_max);
void my_tail_poll(const struct source_mysql *self, struct pollfd *ret_poll);
uint64_t my_tail_deadline_us(const struct source_mysql *self);
void my_tail_process(struct source_mysql *self, uint64_t now_us);

/* Among these files: jobs for the second session. */
bool my_tail_open_run(struct my_session *session, struct my_job *job);
bool my_tail_start_run(struct my_session *session, struct my_job *job);
bool my_tail_read_run(struct my_session *session, struct my_job *job);
void my_tail_stream_done(struct my_tail_stream *stream);

#endif
