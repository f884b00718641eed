#include <assert.h>
#include <endian.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/source_private.h"

/* How often to report positions that come without rows of ours. */
#define IDLE_TELL_US (250 * CLOCK_MS_US)
/* How often to tell the server the safe position, if it advances. */
#define SAFE_TELL_US (100 * CLOCK_MS_US)
/* The most messages read before other connections get their turn: transactions of other tables may come without end. */
#define MESSAGES_PER_TURN 10000
#define FIRST_ROWS 16
/* "Streaming Replication Protocol": type, start, end, the server's clock; then the message. */
#define XLOG_DATA_HEADER 25
/* Type, end, the server's clock, whether it wants an answer. */
#define KEEPALIVE_BYTES 18
#define STATUS_BYTES 34

/* The rows of one SOURCE_LOG on their way into a batch. */
struct gather {
    struct row *rows;
    struct pg_messages *messages; /* into which they point */
    size_t count;
    size_t capacity;
    uint64_t bytes;
    uint32_t taken; /* messages of any kind read */
    bool full;
};

/* Each row's message is libpq's own copy: it is not copied again. */
struct pg_messages {
    size_t count;
    char **texts;
};

static void
free_messages(void *owner)
{
    struct pg_messages *messages = owner;
    for (size_t i = 0; i < messages->count; i++) {
        PQfreemem(messages->texts[i]);
    }
    memory_free(messages->texts);
    memory_free(messages);
}

static void *
grown(void *array, size_t count, size_t capacity, size_t size)
{
    void *larger = memory_array(capacity, size);
    if (count > 0) {
        memcpy(larger, array, count * size);
    }
    memory_free(array);
    return larger;
}

static void
grow(struct gather *gather)
{
    const size_t capacity = gather->capacity > 0 ? gather->capacity * 2 : FIRST_ROWS;
    if (gather->messages == NULL) {
        gather->messages = memory_array(1, sizeof(*gather->messages));
    }
    gather->rows = grown(gather->rows, gather->count, capacity, sizeof(*gather->rows));
    gather->messages->texts =
        grown(gather->messages->texts, gather->count, capacity, sizeof(*gather->messages->texts));
    gather->capacity = capacity;
}

static void
add_row_take(struct gather *gather, const struct pg_stream *stream, const struct row *row,
             char *message)
{
    if (gather->count == gather->capacity) {
        grow(gather);
    }
    gather->rows[gather->count] = *row;
    gather->messages->texts[gather->count] = message;
    gather->count++;
    gather->messages->count = gather->count;
    gather->bytes += row->payload.size + row->headers.size;
    gather->full = gather->count >= stream->rows_max || gather->bytes >= stream->bytes_max;
}

static void
advance(struct source_postgres *self, uint64_t position)
{
    struct pg_stream *stream = &self->tail.stream;
    if (position > stream->read) {
        stream->read = position;
    }
    if (!pg_emitted_is_pending(self)) {
        stream->position = stream->read;
    }
}

static uint64_t
number_at(const char *bytes)
{
    uint64_t big;
    memcpy(&big, bytes, sizeof(big));
    return be64toh(big);
}

/* ---- what the server says ---- */

static bool
take_data(struct source_postgres *self, struct gather *gather, char *message, size_t size,
          struct error *reterr)
{
    struct pg_stream *stream = &self->tail.stream;
    struct pgoutput_event event;
    const bool good = pgoutput_decode(&stream->decoder, message + XLOG_DATA_HEADER,
                                      size - XLOG_DATA_HEADER, &event, reterr);
    if (good && event.type == PGOUTPUT_ROW) {
        add_row_take(gather, stream, &event.row, message);
        return true;
    }
    if (good && event.type == PGOUTPUT_COMMIT) {
        advance(self, event.position);
    } else if (good && event.type == PGOUTPUT_MESSAGE) {
        pg_emitted_take(self, &event);
        gather->full |= pg_emitted_is_full(self);
    }
    PQfreemem(message);
    return good;
}

/* Within a transaction its position must not be used: rows of the transaction are still to come. */
static void
take_keepalive(struct source_postgres *self, const char *message)
{
    struct pg_stream *stream = &self->tail.stream;
    if (!stream->decoder.in_transaction) {
        advance(self, number_at(message + 1));
    }
    stream->reply_wanted |= message[KEEPALIVE_BYTES - 1] != 0;
}

static bool
take_message(struct source_postgres *self, struct gather *gather, char *message, size_t size,
             struct error *reterr)
{
    if (message[0] == 'w' && size >= XLOG_DATA_HEADER) {
        return take_data(self, gather, message, size, reterr);
    }
    const bool good = message[0] == 'k' && size >= KEEPALIVE_BYTES;
    if (good) {
        take_keepalive(self, message);
    } else {
        error_set(reterr, ERROR_CONNECTION, "the log came with a message that is not known");
    }
    PQfreemem(message);
    return good;
}

/* The stream delivered an error, or its end, in place of a message. */
static void
set_ended(struct source_postgres *self, struct error *reterr)
{
    PGconn *connection = self->tail.connection;
    PGresult *result = PQisBusy(connection) ? NULL : PQgetResult(connection);
    if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
        /* Also for NULL: then the connection may have the reason. */
        pg_tail_refused(self, result, reterr);
    } else {
        error_set(reterr, ERROR_CONNECTION, "the server does not send the log any more");
    }
    PQclear(result);
}

/* True once for each gap: the table is read before the log is opened again. The log of a tableless source is opened
 * before the gap, and meets it again. */
static bool
ends_by_skip(struct pg_tail *tail, struct error *reterr)
{
    if (tail->skips <= tail->skips_met && tail->stream.position <= tail->skips_position) {
        tail->skipped[0] = '\0';
        return false;
    }
    tail->skips_met = tail->skips;
    tail->skips_position = tail->stream.position;
    error_set(reterr, ERROR_TRANSIENT,
              "publication \"%s\" does not exist, or did not for a while, so the log passed over "
              "messages; they come from the table (%s)",
              tail->publication, tail->skipped);
    return true;
}

enum drained { DRAINED_NOTHING, DRAINED_SOME, DRAINED_FULL, DRAINED_END };

/* Takes the messages that libpq holds. */
static enum drained
drain(struct source_postgres *self, struct gather *gather, struct error *reterr)
{
    enum drained drained = DRAINED_NOTHING;
    while (!gather->full && gather->taken < MESSAGES_PER_TURN) {
        char *message = NULL;
        const int size = PQgetCopyData(self->tail.connection, &message, 1);
        if (self->tail.skipped[0] != '\0' && ends_by_skip(&self->tail, reterr)) {
            PQfreemem(message); /* the skipped changes come before it */
            return DRAINED_END;
        }
        if (size == 0) {
            return drained;
        }
        if (size < 0) {
            set_ended(self, reterr);
            return DRAINED_END;
        }
        if (!take_message(self, gather, message, (size_t)size, reterr)) {
            return DRAINED_END;
        }
        gather->taken++;
        drained = DRAINED_SOME;
    }
    return DRAINED_FULL;
}

/* ---- what is told ---- */

static void
tell(struct source_postgres *self, const struct gather *gather, uint64_t now_us)
{
    struct pg_stream *stream = &self->tail.stream;
    struct batch *batch = memory_array(1, sizeof(*batch));
    *batch = (struct batch){
        .rows = gather->rows,
        .count = gather->count,
        .complete = !gather->full,
        .owner = gather->messages,
        .free_owner = gather->messages != NULL ? free_messages : NULL,
    };
    pg_event_push(self, SOURCE_LOG)->log =
        (struct source_log){.batch = batch, .position = stream->position};
    stream->asked = false;
    stream->told_position = stream->position;
    stream->told_us = now_us;
}

/* True if a position without rows is due. */
static bool
may_tell(const struct pg_stream *stream, uint64_t now_us)
{
    return stream->asked && stream->position > stream->told_position &&
           now_us >= stream->told_us + IDLE_TELL_US;
}

/* Takes messages until no more are available at once. False with *reterr if the stream has ended. */
static bool
gather_rows(struct source_postgres *self, struct gather *gather, struct error *reterr)
{
    enum drained drained = drain(self, gather, reterr);
    bool alive = true;
    if (drained == DRAINED_NOTHING || drained == DRAINED_SOME) {
        do {
            alive = pg_request_consume(self->tail.connection);
            drained = drain(self, gather, reterr);
        } while (alive && drained == DRAINED_SOME);
    }
    self->tail.stream.unread = drained == DRAINED_FULL;
    if (!alive && drained != DRAINED_END) {
        pg_tail_why(self, reterr);
    }
    return alive && drained != DRAINED_END;
}

static void
receive(struct source_postgres *self, uint64_t now_us)
{
    struct gather gather = {.count = 0};
    struct error error;
    const bool good = gather_rows(self, &gather, &error);
    if (gather.count > 0) {
        tell(self, &gather, now_us);
    }
    if (good) {
        pg_emitted_write(self, now_us);
    } else {
        pg_tail_failed(self, &error);
    }
}

/* No rows are wanted, but the connection may have ended. */
static void
look_for_end(struct source_postgres *self)
{
    struct error error;
    self->tail.stream.unread = true;
    if (!pg_request_consume(self->tail.connection)) {
        pg_tail_why(self, &error);
        pg_tail_failed(self, &error);
    }
}

/* ---- what the server is told ---- */

static char *
put64(char *at, uint64_t value)
{
    const uint64_t big = htobe64(value);
    memcpy(at, &big, sizeof(big));
    return at + sizeof(big);
}

/* Only delivered rows can be safe. What a tableless source delivered is in the table and not needed from the log any
 * more: the sooner the server knows, the fewer messages are written twice after a crash. */
static uint64_t
safe_position(const struct source_postgres *self)
{
    const struct pg_stream *stream = &self->tail.stream;
    if (self->config->tableless) {
        return stream->position;
    }
    return stream->safe < stream->position ? stream->safe : stream->position;
}

/* Fields: written, flushed, applied, clock (the server ignores it). */
static bool
put_status(struct source_postgres *self, bool answer_wanted)
{
    struct pg_stream *stream = &self->tail.stream;
    char status[STATUS_BYTES];
    char *at = status;
    *at++ = 'r';
    at = put64(at, stream->position);
    at = put64(at, safe_position(self));
    at = put64(at, safe_position(self));
    at = put64(at, 0);
    *at = answer_wanted ? 1 : 0;
    stream->safe_sent = safe_position(self);
    return PQputCopyData(self->tail.connection, status, sizeof(status)) > 0;
}

static void
send_status(struct source_postgres *self, bool answer_wanted, uint64_t now_us)
{
    struct pg_stream *stream = &self->tail.stream;
    stream->reply_wanted = false;
    stream->status_us = now_us;
    if (!put_status(self, answer_wanted)) {
        struct error error;
        pg_tail_why(self, &error);
        pg_tail_failed(self, &error);
        return;
    }
    pg_tail_flush(self); /* a failure was told */
}

static uint64_t
status_deadline_us(const struct source_postgres *self)
{
    const struct pg_stream *stream = &self->tail.stream;
    const bool advanced = safe_position(self) > stream->safe_sent;
    return advanced && SAFE_TELL_US < stream->status_interval_us
               ? stream->status_us + SAFE_TELL_US
               : clock_on_beat_us(stream->status_us, stream->status_interval_us,
                                  self->config->phase_us);
}

bool
pg_stream_reads(const struct source_postgres *self)
{
    return self->tail.stream.asked && !self->tail.emitted.out;
}

uint64_t
pg_stream_deadline_us(const struct source_postgres *self)
{
    const struct pg_stream *stream = &self->tail.stream;
    uint64_t deadline_us = status_deadline_us(self);
    if (pg_stream_reads(self) && stream->unread) {
        return 0;
    }
    if (stream->asked && stream->position > stream->told_position) {
        deadline_us = clock_earlier_us(deadline_us, stream->told_us + IDLE_TELL_US);
    }
    return deadline_us;
}

void
pg_stream_begin(struct source_postgres *self, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    tail->state = PG_TAIL_STREAMING;
    tail->was_read = true;
    tail->stream = (struct pg_stream){
        .position = tail->position,
        .read = tail->position,
        .told_position = tail->position,
        .unread = true, /* messages may have come with the command's answer */
        .status_interval_us = tail->stream.status_interval_us,
    };
    tail->heartbeat_us = now_us + self->config->heartbeat_interval_us;
    pgoutput_init(&tail->stream.decoder, self->outbox_oid, SOURCE_MESSAGE_BYTES_MAX);
    pg_event_push(self, SOURCE_TAILING)->tailing = tail->position;
    send_status(self, true, now_us); /* an idle server answers with its position */
}

void
pg_stream_process(struct source_postgres *self, short revents, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    struct pg_stream *stream = &tail->stream;
    const bool ready = (revents & ~POLLOUT) != 0;
    if (pg_stream_reads(self) && (ready || stream->unread)) {
        receive(self, now_us);
    } else if (ready) {
        look_for_end(self);
    }
    if (tail->state == PG_TAIL_STREAMING && may_tell(stream, now_us)) {
        tell(self, &(struct gather){.count = 0}, now_us);
    }
    if (tail->state == PG_TAIL_STREAMING &&
        (stream->reply_wanted || now_us >= status_deadline_us(self))) {
        send_status(self, false, now_us);
    }
}

void
pg_stream_end(struct source_postgres *self)
{
    if (put_status(self, false)) {
        (void)PQflush(
            /* If the status is not sent at once it is lost, and the log comes again. */
            self->tail.connection);
    }
}
