#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/mysql/source_private.h"

#include "mysql_status_foreign_sql.h"
#include "mysql_status_sql.h"

/* ---- on the link's thread ------------------------------------------------------------------------------- */

static void
put_span(struct my_parameters *parameters, const char *name, bool known, uint64_t span_us)
{
    if (known && span_us < INT64_MAX) {
        my_parameters_int(parameters, name, (int64_t)span_us);
    } else {
        my_parameters_null(parameters, name);
    }
}

static void
put_id(struct my_parameters *parameters, const char *name, int64_t id)
{
    if (id != INT64_MIN) {
        my_parameters_int(parameters, name, id);
    } else {
        my_parameters_null(parameters, name);
    }
}

static void
put_text(struct my_parameters *parameters, const char *name, const char *text)
{
    my_parameters_text(parameters, name, text[0] != '\0' ? text : NULL);
}

/* The ownership is a lock of this server, so a relay that writes beside its owner does it through another one. False with the reason
 * in the session, also if there is none. */
static bool
check_foreign(struct my_session *session, struct my_status *status)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "owned_since_us", status->owned_since_us);
    if (!my_session_ask(session, sql_status_foreign, &parameters, &rows)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    status->foreign = row != NULL;
    const bool good =
        row == NULL ||
        my_session_fail(
            session, ERROR_CONFIG,
            "another relay, process %s on \"%s\", works the same outbox through another "
            "server, so each message is sent twice: name the same server in the dsn of all "
            "relays, because only that server knows which of them owns the outbox",
            row[1], row[0]);
    mysql_free_result(rows);
    return good;
}

static bool
status_run(struct my_session *session, struct my_job *job)
{
    struct my_status *status = (struct my_status *)job;
    const struct source_status *what = &status->what;
    struct my_parameters parameters = {.count = 0};
    if (status->written && !check_foreign(session, status)) {
        return false;
    }
    my_parameters_text(&parameters, "source", session->config->name);
    my_parameters_text(&parameters, "host", status->host);
    my_parameters_int(&parameters, "pid", getpid());
    my_parameters_text(&parameters, "version", RELAY_VERSION);
    my_parameters_int(&parameters, "started_at_us", status->started_at_us);
    my_parameters_int(&parameters, "owned_since_us", status->owned_since_us);
    my_parameters_int(&parameters, "in_flight", (int64_t)what->in_flight);
    put_span(&parameters, "in_flight_for_us", what->in_flight > 0, what->in_flight_for_us);
    put_id(&parameters, "read_up_to", what->read_up_to);
    put_id(&parameters, "published_up_to", what->published_up_to);
    my_parameters_int(&parameters, "confirmed", (int64_t)what->confirmed);
    my_parameters_double(&parameters, "rate", isfinite(what->rate) ? what->rate : 0);
    put_text(&parameters, "paused_reason", status->paused_reason);
    put_span(&parameters, "paused_for_us", status->paused_reason[0] != '\0', what->paused_for_us);
    my_parameters_text(&parameters, "reading", what->tailing ? "tail" : "poll");
    put_text(&parameters, "reads_reason", status->reads_reason);
    my_parameters_int(&parameters, "swept", (int64_t)what->swept);
    return my_session_run(session, sql_status, &parameters, NULL);
}

/* ---- on the pipeline's ---------------------------------------------------------------------------------- */

static void
status_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    self->status.out = false;
    if (!job->ok) {
        self->yields = self->status.foreign;
        my_source_lost(self, &job->error, now_us);
        return;
    }
    self->status.written = true;
}

/* Why it reads as it does: why not from the log, and why slowly. */
static void
write_reads_reason(const struct source_mysql *self, const struct source_status *status,
                   char *ret_text, size_t size)
{
    const char *why = status->not_tailing_reason != NULL ? status->not_tailing_reason : "";
    const char *slow = status->tailing ? "" : self->fetch.plan.slow;
    const char *between = why[0] != '\0' && slow[0] != '\0' ? "; " : "";
    (void)snprintf(ret_text, size, "%s%s%s", why, between, slow); /* cut is fine */
}

static void
send_status(struct source_mysql *self, const struct source_status *what, uint64_t now_us)
{
    struct my_status *status = &self->status;
    const char *const paused = what->paused_reason != NULL ? what->paused_reason : "";
    status->out = true;
    status->foreign = false;
    status->job =
        (struct my_job){.run = status_run, .done = status_done, .words = "to write the status"};
    status->what = *what;
    status->started_at_us = self->started_at_us;
    status->owned_since_us = self->owned_since_us;
    (void)gethostname(status->host, sizeof(status->host) - 1); /* a longer name is cut */
    /* Cut is fine. */
    (void)snprintf(status->paused_reason, sizeof(status->paused_reason), "%s", paused);
    write_reads_reason(self, what, status->reads_reason, sizeof(status->reads_reason));
    my_ask(self, &status->job, now_us);
}

void
my_status_ask(struct source_mysql *self, const struct source_status *status, uint64_t now_us)
{
    if (!self->status.out) {
        send_status(self, status, now_us);
    }
    my_settle_forget(self, now_us);
}
