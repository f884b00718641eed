/* On the second session's thread. What is asked for is read until there is none to be had at once. An idle server says
 * every quarter of a second where it is (tail_session.sql), so nothing is waited for that does not come, and a position
 * without rows is told at the latest then. */
#include <poll.h>

#include "base/clock.h"
#include "relay/mysql/replica.h"
#include "relay/mysql/source_private.h"

/* A position that belongs to none of our rows is told so often. */
#define IDLE_TELL_US (250 * CLOCK_MS_US)
/* Rows wait so long for more, however much of others' log follows. */
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

/* Whether a part of the next event is there, as far as the socket tells: the library may hold more. */
static bool
more_has_come(struct my_session *session)
{
    struct pollfd socket = {.fd = mysql_client_socket(session->mysql), .events = POLLIN};
    return poll(&socket, 1, 0) > 0;
}

bool
my_tail_start_run(struct my_session *session, struct my_job *job)
{
    struct my_tail_stream *stream = ((struct my_tail_start *)job)->stream;
    if (!my_replica_begin(session, &stream->log, stream->file, stream->offset)) {
        return false;
    }
    return feed(session, stream); /* which file it is: or that it is not there */
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
    return my_session_fail(session, ERROR_TRANSIENT,
                           "an XA transaction was committed that has written more of the outbox "
                           "than is kept of one; the table has it");
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

/* Those of a prepared transaction that was committed go before the next event is read. */
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

/* All of an event is given. */
static bool
is_enough(struct my_session *session, const struct my_tail_read *read)
{
    const uint64_t now_us = clock_monotonic_us();
    if (read->rows.count > 0) {
        return now_us >= read->first_us + COMPANY_US || !more_has_come(session);
    }
    return read->stream->position > read->told && now_us >= read->told_us + IDLE_TELL_US;
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
