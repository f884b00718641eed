/* Messages of a tableless source, which only the log has. They are collected as they come, and written into the outbox
 * by one statement of the session, or by more if a message cannot be written; meanwhile the log is not read. So at most
 * one batch of them is in memory, and the log's position stays before messages that are not written. */
#include <stdio.h>
#include <string.h>

#include "relay/postgres/source_private.h"

/* SOURCE_MESSAGE_BYTES_MAX of payload and headers, in hex. A larger content is cut, so that the server accepts it as
 * one value; it is no valid message then. */
#define CONTENT_BYTES_MAX ((size_t)2 * SOURCE_MESSAGE_BYTES_MAX)

#define COLUMN_PROBLEM 1 /* column of emitted.sql */

/* The prefix before version 0.2, when all schemas of a database had the same one. */
#define OLD_PREFIX "outbox"

static bool
has_prefix(const struct pgoutput_event *event, const char *prefix)
{
    const size_t size = strlen(prefix);
    return event->prefix.size == size && memcmp(event->prefix.data, prefix, size) == 0;
}

/* The relay cannot know whose message it is; it must report that perhaps no source takes it. */
static void
tell_left(struct source_postgres *self)
{
    if (!self->tail.left_told) {
        self->tail.left_told = true;
        struct source_notice *notice = pg_tail_notice(
            self, "messages with the prefix \"outbox\" are in the log, which name no schema (as "
                  "outbox_emit wrote them before version 0.2): a source with "
                  "tableless_old_prefix = true takes them, this one leaves them");
        notice->error.class = ERROR_CONFIG;
    }
}

static bool
is_emitted(struct source_postgres *self, const struct pgoutput_event *event)
{
    if (event->type != PGOUTPUT_MESSAGE || !event->transactional) {
        return false;
    }
    if (!has_prefix(event, OLD_PREFIX)) {
        return has_prefix(event, self->tail.prefix);
    }
    if (!self->config->tableless_old_prefix) {
        tell_left(self);
    }
    return self->config->tableless_old_prefix;
}

void
pg_emitted_take(struct source_postgres *self, const struct pgoutput_event *event)
{
    struct pg_emitted *emitted = &self->tail.emitted;
    if (!is_emitted(self, event)) {
        return;
    }
    if (emitted->count == 0) {
        pg_array_begin_bytea(&emitted->contents);
    }
    const struct span content = event->content;
    pg_array_put_bytes(&emitted->contents, content.data,
                       content.size < CONTENT_BYTES_MAX ? content.size : CONTENT_BYTES_MAX);
    emitted->count++;
}

bool
pg_emitted_is_full(const struct source_postgres *self)
{
    const struct pg_emitted *emitted = &self->tail.emitted;
    const struct pg_stream *stream = &self->tail.stream;
    return emitted->count >= stream->rows_max ||
           (emitted->count > 0 && buffer_size(&emitted->contents) >= stream->bytes_max);
}

bool
pg_emitted_is_pending(const struct source_postgres *self)
{
    return self->tail.emitted.count > 0 || self->tail.emitted.out;
}

static void
send_part(struct source_postgres *self, uint64_t now_us)
{
    const struct pg_emitted *emitted = &self->tail.emitted;
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_array(&parameters, &emitted->contents);
    pg_parameters_int8(&parameters, (int64_t)emitted->parts.at + 1);
    pg_parameters_int8(&parameters, (int64_t)emitted->parts.size);
    pg_parameters_text(&parameters, emitted->trouble[0] != '\0' ? emitted->trouble : NULL);
    if (pg_request_send(self, PG_EMITTED, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_EMITTED, now_us); /* a loss was told */
    }
}

void
pg_emitted_write(struct source_postgres *self, uint64_t now_us)
{
    struct pg_emitted *emitted = &self->tail.emitted;
    if (emitted->count == 0) {
        return;
    }
    pg_array_end(&emitted->contents, emitted->count);
    halving_begin(&emitted->parts, emitted->count);
    emitted->count = 0;
    emitted->out = true;
    emitted->position = self->tail.stream.read;
    emitted->trouble[0] = '\0';
    emitted->problem[0] = '\0';
    send_part(self, now_us);
}

/* Reading of the log may have ended meanwhile. It does not begin again before this answer: the look before it is sent
 * over the same session. */
static void
end_writing(struct source_postgres *self)
{
    struct pg_tail *tail = &self->tail;
    tail->emitted.out = false;
    tail->emitted.written = tail->emitted.position;
    if (tail->state == PG_TAIL_STREAMING) {
        tail->stream.position = tail->stream.read;
    }
    if (tail->emitted.problem[0] != '\0') {
        struct source_notice *notice =
            pg_tail_notice(self,
                           "what was emitted cannot be a message and is set aside as dead (see "
                           "`outbox-relay held`): %s",
                           tail->emitted.problem);
        notice->error.class = ERROR_CONFIG;
    }
}

void
pg_emitted_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_emitted *emitted = &self->tail.emitted;
    if (emitted->problem[0] == '\0' && !PQgetisnull(result, 0, COLUMN_PROBLEM)) {
        (void)snprintf(emitted->problem, sizeof(emitted->problem), "%s",
                       PQgetvalue(result, 0, COLUMN_PROBLEM)); /* cut is fine */
    }
    emitted->trouble[0] = '\0';
    if (halving_taken(&emitted->parts)) {
        send_part(self, now_us);
    } else {
        end_writing(self);
    }
}

/* A message that cannot be written is set aside with the reason. If even that fails, it cannot be kept anywhere: so
 * reading of the log stops, and the ownership ends with that error. */
bool
pg_emitted_refused(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_emitted *emitted = &self->tail.emitted;
    struct error error;
    if (emitted->trouble[0] != '\0' || !pg_error_may_be_of_row(result, true)) {
        return false;
    }
    if (!halving_refused(&emitted->parts)) {
        pg_error_from_result(result, &error);
        (void)snprintf(emitted->trouble, sizeof(emitted->trouble),
                       "it was emitted, and cannot go to the outbox: %s",
                       error.text); /* cut is fine */
        pg_text_clean(emitted->trouble, strlen(emitted->trouble), pg_request_takes_utf8(self));
    }
    pg_event_alive(self);
    send_part(self, now_us);
    return true;
}
