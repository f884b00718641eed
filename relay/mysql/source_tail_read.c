/* Jobs on the second session's thread. They read until enough rows are there, or no more can be had without waiting. A
 * position without rows is reported when nothing follows for a moment. An idle server sends its position now and then
 * (replica.c), by which a connection that is dead is noticed. */
#include <poll.h>

#include "base/clock.h"
#include "relay/mysql/replica.h"
#include "relay/mysql/source_private.h"

/* How often to report positions that belong to none of our rows. */
#define IDLE_TELL_US (250 * CLOCK_MS_US)
/* The longest wait of rows for more rows, however many events of others follow. */
#define COMPANY_US (5 * CLOCK_MS_US)

/* ---- events ---- */

/* Waits for the next event. */
static bool
feed(struct my_session *session, struct my_tail_stream *stream)
{
    struct span event;
    if (!my_replica_next(session, &stream->log, &event)) {
        stream->ended = session->code == 0;
        return false;
    }
    return my_binlog_feed(stream->binlog, event, &session->error);
}

/* True if a part of the next event is in the socket by that time; the library may have more. */
static bool
more_comes(struct my_session *session, uint64_t now_us, uint64_t until_us)
{
    struct pollfd socket = {.fd = mysql_client_socket(session->mysql), .events = POLLIN};
    return poll(&socket, 1, clock_poll_timeout_ms(now_us, until_us)) > 0;
}

bool
my_tail_start_run(struct my_session *session, struct my_job *job)
{
    struct my_tail_stream *stream = ((struct my_tail_start *)job)->stream;
    if (!my_replica_begin(session, &stream->log, stream->file, stream->offset)) {
        return false;
    }
    return feed(session, stream); /* the first event names the file, or the server refuses */
}

void
my_tail_stream_done(struct my_tail_stream *stream)
{
    mysql_client_log_done(&stream->log);
    my_binlog_free(stream->binlog);
    my_prepared_free(stream->prepared);
    my_row_copies_done(&stream->committed);
    *stream = (struct my_tail_stream){.position = 0};
}

/* ---- what comes of them ---- */

static void
add_row(struct my_tail_read *read, const struct row *row)
{
    if (read->rows.count == 0) {
        read->first_us = clock_monotonic_us();
    }
    my_row_copies_add(&read->rows, row);
    read->is_full =
        read->rows.count >= read->rows_max || read->rows.content_bytes >= read->bytes_max;
}

static bool
commit_prepared(struct my_session *session, struct my_tail_stream *stream,
                const struct my_binlog_item *item)
{
    switch (my_prepared_commit(stream->prepared, item->xid, item->position, &stream->committed)) {
    case MY_PREPARED_NONE:
    case MY_PREPARED_ROWS:
        return true;
    case MY_PREPARED_LOST:
        break;
    }
    return my_session_fail(
        session, ERROR_TRANSIENT,
        "an XA transaction was committed that wrote more rows of the outbox than the "
        "relay keeps of one: they are read from the table");
}

static bool
take_item(struct my_session *session, struct my_tail_read *read, const struct my_binlog_item *item)
{
    struct my_tail_stream *stream = read->stream;
    switch (item->type) {
    case MY_BINLOG_NOTHING:
        stream->position = my_binlog_position(stream->binlog);
        return true;
    case MY_BINLOG_ROW:
        if (item->is_prepared) {
            my_prepared_row(stream->prepared, &item->row);
        } else {
            add_row(read, &item->row);
        }
        return true;
    case MY_BINLOG_PREPARED:
        my_prepared_keep(stream->prepared, item->xid);
        return true;
    case MY_BINLOG_COMMITTED:
        return commit_prepared(session, stream, item);
    case MY_BINLOG_ROLLED_BACK:
        my_prepared_roll_back(stream->prepared, item->xid);
        return true;
    }
    return my_session_fail(session, ERROR_CONNECTION, "the log has something that is not known");
}

/* Rows of a committed XA transaction are given before the next event is read. */
static bool
take_committed(struct my_tail_read *read)
{
    struct my_tail_stream *stream = read->stream;
    if (stream->committed_at < stream->committed.count) {
        add_row(read, &stream->committed.rows[stream->committed_at++]);
        return true;
    }
    my_row_copies_done(&stream->committed);
    stream->committed_at = 0;
    return false;
}

/* To be asked between two events: true if what was read should be delivered now. */
static bool
is_enough(struct my_session *session, const struct my_tail_read *read)
{
    const uint64_t now_us = clock_monotonic_us();
    if (read->rows.count > 0) {
        return now_us >= read->first_us + COMPANY_US || !more_comes(session, now_us, now_us);
    }
    const uint64_t tell_us = read->told_us + IDLE_TELL_US;
    return read->stream->position > read->told &&
           (now_us >= tell_us || !more_comes(session, now_us, tell_us));
}

bool
my_tail_read_run(struct my_session *session, struct my_job *job)
{
    struct my_tail_read *read = (struct my_tail_read *)job;
    struct my_tail_stream *stream = read->stream;
    while (!read->is_full) {
        struct my_binlog_item item;
        if (take_committed(read)) {
            continue;
        }
        if (!my_binlog_next(stream->binlog, &item, &session->error) ||
            !take_item(session, read, &item)) {
            return false;
        }
        if (item.type != MY_BINLOG_NOTHING) {
            continue;
        }
        if (is_enough(session, read)) {
            break;
        }
        if (!feed(session, stream)) {
            return false;
        }
    }
    return true;
}
