#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/postgres/source_private.h"

/* Cuts and cleans a text so that the server accepts it; NULL is NULL. */
static const char *
text_of(const struct source_postgres *self, const char *text, char *ret_text, size_t size)
{
    if (text == NULL) {
        return NULL;
    }
    const int length = snprintf(ret_text, size, "%s", text); /* cut is fine */
    pg_text_clean(ret_text, length < (int)size ? (size_t)length : size - 1,
                  pg_request_takes_utf8(self));
    return ret_text;
}

static void
add_time(struct pg_parameters *parameters, bool known, uint64_t for_us)
{
    if (known) {
        pg_parameters_int8(parameters, pg_parameters_span_us(for_us));
    } else {
        pg_parameters_null(parameters);
    }
}

static void
add_id(struct pg_parameters *parameters, int64_t id)
{
    if (id != INT64_MIN) {
        pg_parameters_int8(parameters, id);
    } else {
        pg_parameters_null(parameters);
    }
}

/* Why it does not read the log, or reads slowly. */
static const char *
reads_reason_of(const struct source_postgres *self, const struct source_status *status,
                char *ret_text, size_t size)
{
    const char *why = status->not_tailing_reason;
    const char *slow = self->fetch.plan.slow;
    if (slow[0] == '\0' || status->tailing) {
        return text_of(self, why, ret_text, size);
    }
    char both[400];
    (void)snprintf(both, sizeof(both), "%s%s%s", why != NULL ? why : "", why != NULL ? "; " : "",
                   slow); /* cut is fine */
    return text_of(self, both, ret_text, size);
}

static void
send_status(struct source_postgres *self, const struct source_status *status, uint64_t now_us)
{
    char name[256];
    char host[256] = "";
    char host_clean[256];
    char reason[400];
    char reads_reason[400];
    struct pg_parameters parameters = {.count = 0};
    (void)gethostname(host, sizeof(host) - 1); /* a long name is cut */
    pg_parameters_text(&parameters, text_of(self, self->config->name, name, sizeof(name)));
    pg_parameters_text(&parameters, text_of(self, host, host_clean, sizeof(host_clean)));
    pg_parameters_int8(&parameters, getpid());
    pg_parameters_text(&parameters, RELAY_VERSION);
    pg_parameters_int8(&parameters, self->started_at_us);
    pg_parameters_int8(&parameters, self->owned_since_us);
    pg_parameters_int8(&parameters, (int64_t)status->in_flight);
    add_time(&parameters, status->in_flight > 0, status->in_flight_for_us);
    add_id(&parameters, status->read_up_to);
    add_id(&parameters, status->published_up_to);
    pg_parameters_int8(&parameters, (int64_t)status->confirmed);
    pg_parameters_double(&parameters, isfinite(status->rate) ? status->rate : 0);
    pg_parameters_text(&parameters, text_of(self, status->paused_reason, reason, sizeof(reason)));
    add_time(&parameters, status->paused_reason != NULL, status->paused_for_us);
    pg_parameters_text(&parameters, status->tailing ? "tail" : "poll");
    pg_parameters_text(&parameters,
                       reads_reason_of(self, status, reads_reason, sizeof(reads_reason)));
    pg_parameters_int8(&parameters, (int64_t)status->swept);
    pg_parameters_text(&parameters, self->config->tableless ? self->tail.slot : "");
    if (pg_request_send(self, PG_STATUS, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_STATUS, now_us); /* a loss was told */
    }
}

void
pg_status_ask(struct source_postgres *self, const struct source_status *status, uint64_t now_us)
{
    if (!self->status_outstanding) {
        self->status_outstanding = true;
        send_status(self, status, now_us);
    }
    pg_sent_forget(self, now_us);
}
