#include "relay/mysql/source_tail.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/mysql/replica.h"
#include "relay/mysql/source_private.h"

#include "mysql_tail_token_sql.h"

/* A long job of the owning session may come first. */
#define MARK_TIMEOUT_US (60 * CLOCK_S_US)
/* 10 s for the host, and the look-up of its name. */
#define CONNECT_TIMEOUT_US (30 * CLOCK_S_US)
#define STEP_TIMEOUT_US (15 * CLOCK_S_US)
/* A larger message is withheld (as in relay/postgres/source_private.h); the other columns of a row are small. */
#define MESSAGE_BYTES_MAX (UINT64_C(192) << 20)
#define PREPARED_BYTES_MAX (UINT64_C(16) << 20)

static void
step(struct my_tail *tail, enum my_tail_state state, uint64_t timeout_us, uint64_t now_us)
{
    tail->state = state;
    tail->deadline_us = now_us + timeout_us;
}

/* After my_link_stop the thread of the second session has ended, or uses nothing of this any more. */
static void
close_link(struct my_tail *tail)
{
    my_link_stop(tail->link, 0);
    tail->link = NULL;
    tail->state = MY_TAIL_OFF;
    my_tail_columns_done(&tail->open.columns);
    my_tail_stream_done(&tail->stream);
    my_row_copies_done(&tail->read.rows);
    tail->read.out = false;
}

void
my_tail_end(struct source_mysql *self)
{
    close_link(&self->tail);
}

void
my_tail_stop(struct source_mysql *self)
{
    struct my_tail *tail = &self->tail;
    close_link(tail);
    my_tail_columns_done(&tail->columns);
    *tail = (struct my_tail){.state = MY_TAIL_OFF};
}

static void
failed(struct source_mysql *self, const struct error *error)
{
    const struct error why = *error; /* it may be part of a job */
    close_link(&self->tail);
    my_event_push(self, SOURCE_NOT_TAILING)->not_tailing = why;
}

static void
fail(struct source_mysql *self, enum error_class class, const char *words)
{
    struct error error;
    error_set(&error, class, "%s", words);
    failed(self, &error);
}

/* ---- streaming ---- */

static void
tell(struct source_mysql *self, uint64_t now_us)
{
    struct my_tail_read *read = &self->tail.read;
    struct source_event *event = my_event_push(self, SOURCE_LOG);
    event->log.batch = my_row_copies_take(&read->rows, !read->is_full);
    event->log.position = self->tail.stream.position;
    read->told = event->log.position;
    read->told_us = now_us;
}

/* A server ends its log without an error when it shuts down. It also does so after it has begun the log anew, if a
 * reader was in a file of the same name. Then the reader's position means something else, and the end of the log would
 * not show it. So the ownership is given up. */
static void
ended(struct source_mysql *self, uint64_t now_us)
{
    struct error error;
    error_set(&error, ERROR_CONNECTION,
              "the server has ended its log: it shuts down, or has begun the log anew (RESET "
              "MASTER); the relay starts again");
    my_source_lost(self, &error, now_us);
}

/* Rows that were read before a failure are delivered first. */
static void
read_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    self->tail.read.out = false;
    if (job->ok || self->tail.read.rows.count > 0) {
        tell(self, now_us);
    }
    if (!job->ok && self->tail.stream.ended) {
        ended(self, now_us);
    } else if (!job->ok) {
        failed(self, &job->error);
    }
}

void
my_tail_more(struct source_mysql *self, uint32_t rows_max, uint64_t bytes_max)
{
    struct my_tail_read *read = &self->tail.read;
    if (self->tail.state != MY_TAIL_STREAMING) {
        return;
    }
    assert(!read->out && rows_max > 0);
    read->job = (struct my_job){
        .run = my_tail_read_run, .done = read_done, .words = "for what is new in the log"};
    read->out = true;
    read->is_full = false;
    read->rows_max = rows_max;
    read->bytes_max = bytes_max;
    my_link_put(self->tail.link, &read->job);
}

/* ---- starting ---- */

static void
start_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_tail *tail = &self->tail;
    if (!job->ok) {
        failed(self, &job->error);
        return;
    }
    tail->state = MY_TAIL_STREAMING;
    tail->read =
        (struct my_tail_read){.stream = &tail->stream, .told = tail->position, .told_us = now_us};
    my_event_push(self, SOURCE_TAILING)->tailing = tail->position;
}

static struct my_binlog *
make_decoder(const struct my_tail *tail)
{
    const struct my_tail_columns *columns = &tail->columns;
    const char **names = memory_array(columns->count, sizeof(*names));
    const char *name = columns->names;
    for (size_t i = 0; i < columns->count; i++) {
        names[i] = name;
        name += strlen(name) + 1;
    }
    struct my_binlog *const binlog = my_binlog_new(&(struct my_binlog_options){
        .schema = columns->schema,
        .table = columns->table,
        .columns = names,
        .column_count = columns->count,
        .log = tail->open.end.log,
        .position = tail->position,
        .checksums = tail->open.checksums,
        .message_bytes_max = MESSAGE_BYTES_MAX,
        .event_bytes_max = MY_REPLICA_EVENT_BYTES_MAX,
        .stopping = my_link_stopping(tail->link),
    });
    memory_free(names);
    return binlog;
}

static void
start(struct source_mysql *self, uint64_t now_us)
{
    struct my_tail *tail = &self->tail;
    struct my_tail_stream *stream = &tail->stream;
    *stream = (struct my_tail_stream){
        .binlog = make_decoder(tail),
        .prepared = my_prepared_new(PREPARED_BYTES_MAX),
        .position = tail->position,
    };
    my_position_place(&tail->open.end.log, tail->position, stream->file, &stream->offset);
    tail->start = (struct my_tail_start){
        .job = {.run = my_tail_start_run, .done = start_done, .words = "for the log"},
        .stream = stream,
    };
    step(tail, MY_TAIL_STARTING, STEP_TIMEOUT_US, now_us);
    my_link_put(tail->link, &tail->start.job);
}

/* ---- opening ---- */

/* Remembers from which position the columns are known. */
static void
learn_columns(struct my_tail *tail)
{
    struct my_tail_columns *const found = &tail->open.columns;
    if (tail->columns_since == 0 || !my_tail_columns_equal(&tail->columns, found)) {
        tail->columns_since = tail->open.end.position;
    }
    my_tail_columns_done(&tail->columns);
    tail->columns = *found;
    *found = (struct my_tail_columns){.count = 0};
}

void
my_tail_begun_anew(struct source_mysql *self, uint64_t now_us)
{
    struct error error;
    error_set(&error, ERROR_TRANSIENT,
              "the server's log was begun anew (RESET MASTER): the relay starts again");
    my_source_lost(self, &error, now_us);
}

static void
open_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_tail *tail = &self->tail;
    if (!job->ok) {
        failed(self, &job->error);
        return;
    }
    if (tail->position > tail->open.end.position) {
        my_tail_begun_anew(self, now_us);
        return;
    }
    learn_columns(tail);
    if (tail->columns_since > tail->position) {
        tail->position = tail->columns_since;
    }
    start(self, now_us);
}

static void
connected(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_tail *tail = &self->tail;
    if (!job->ok) {
        failed(self, &job->error);
        return;
    }
    tail->open = (struct my_tail_open){
        .job = {.run = my_tail_open_run, .done = open_done, .words = "about the log"}};
    memcpy(tail->open.token, tail->mark.token, sizeof(tail->open.token));
    step(tail, MY_TAIL_OPENING, STEP_TIMEOUT_US, now_us);
    my_link_put(tail->link, &tail->open.job);
}

/* Connects to the host of the owning session, not to another one in the dsn. */
static void
connect_to_server(struct source_mysql *self, uint64_t now_us)
{
    struct my_tail *tail = &self->tail;
    struct error error;
    tail->link = my_link_start(self->config, my_link_host(self->link), connected, &error);
    if (tail->link == NULL) {
        failed(self, &error);
        return;
    }
    step(tail, MY_TAIL_CONNECTING, CONNECT_TIMEOUT_US, now_us);
}

/* ---- beginning ---- */

/* Runs on the owning session's thread. */
static bool
mark_run(struct my_session *session, struct my_job *job)
{
    struct my_tail_mark *mark = (struct my_tail_mark *)job;
    struct my_parameters parameters = {.count = 0};
    int64_t taken = 0;
    my_parameters_text(&parameters, "token", mark->token);
    if (!my_session_int(session, sql_tail_token, &parameters, 0, &taken)) {
        return false;
    }
    return taken != 0 || my_session_fail(session, ERROR_TRANSIENT,
                                         "the server gives no lock by which it is recognised");
}

static void
mark_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_tail *tail = &self->tail;
    tail->mark.out = false;
    tail->mark.done = job->ok;
    if (tail->state != MY_TAIL_MARKING) {
        return; /* tailing was ended meanwhile */
    }
    if (job->ok) {
        connect_to_server(self, now_us);
    } else {
        failed(self, &job->error);
    }
}

static void
mark_server(struct source_mysql *self, uint64_t now_us)
{
    struct my_tail_mark *mark = &self->tail.mark;
    step(&self->tail, MY_TAIL_MARKING, MARK_TIMEOUT_US, now_us);
    if (mark->out) {
        return; /* one from an earlier beginning is still out */
    }
    mark->job =
        (struct my_job){.run = mark_run, .done = mark_done, .words = "for a lock of its own"};
    mark->out = true;
    (void)snprintf(mark->token, sizeof(mark->token), "outbox-relay log %016" PRIx64 "%016" PRIx64,
                   random_next(&self->random), random_next(&self->random)); /* fits */
    my_ask(self, &mark->job, now_us);
}

/* Without the list nothing shows up to where the table is complete, so there is no place to begin the log. */
static void
refuse_without_list(struct source_mysql *self)
{
    struct error error;
    error_set(&error, ERROR_CONFIG, "the server does not say who writes the outbox: %s",
              my_watermark_remedy(self));
    failed(self, &error);
}

void
my_tail_begin(struct source_mysql *self, log_position position, uint64_t now_us)
{
    struct my_tail *tail = &self->tail;
    if (self->config->mode == SOURCE_MODE_POLL) {
        fail(self, ERROR_CONFIG, "mode is poll");
        return;
    }
    if (self->config->crowded) {
        fail(self, ERROR_CONFIG, config_crowded_words(self->config));
        return;
    }
    if (!self->watermark.has_writers) {
        refuse_without_list(self);
        return;
    }
    close_link(tail); /* one from an earlier beginning */
    tail->position = position;
    if (tail->mark.done) {
        connect_to_server(self, now_us);
    } else {
        mark_server(self, now_us);
    }
}

/* ---- turns ---- */

void
my_tail_poll(const struct source_mysql *self, struct pollfd *ret_poll)
{
    const struct my_link *link = self->tail.link;
    *ret_poll = (struct pollfd){.fd = link != NULL ? my_link_fd(link) : -1, .events = POLLIN};
}

static bool
is_on_the_way(const struct my_tail *tail)
{
    return tail->state != MY_TAIL_OFF && tail->state != MY_TAIL_STREAMING;
}

uint64_t
my_tail_deadline_us(const struct source_mysql *self)
{
    return is_on_the_way(&self->tail) ? self->tail.deadline_us : CLOCK_NEVER_US;
}

/* A job's `done` may end the link or the ownership. */
static void
take_jobs(struct source_mysql *self, uint64_t now_us)
{
    struct my_job *job;
    while (self->tail.link != NULL && (job = my_link_take(self->tail.link)) != NULL) {
        job->done(self, job, now_us);
    }
}

void
my_tail_process(struct source_mysql *self, uint64_t now_us)
{
    take_jobs(self, now_us);
    if (is_on_the_way(&self->tail) && now_us >= self->tail.deadline_us) {
        fail(self, ERROR_CONNECTION,
             "the server did not answer in time on the connection that reads the log");
    }
}
