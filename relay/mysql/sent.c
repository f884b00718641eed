#include "relay/mysql/sent.h"

#include <mysqld_error.h>

#include "base/clock.h"
#include "relay/mysql/privileges.h"
#include "relay/mysql/session.h"

#include "mysql_forget_sent_sql.h"

/* So many batches are forgotten by one statement. */
#define FORGET_BATCHES 100
/* After a failure nothing is recorded for this long, so that whatever is wrong costs little: waiting for somebody's lock once in
 * that time. */
#define PAUSE_US (60 * CLOCK_S_US)

static bool
is_wanted(const struct my_session *session)
{
    return session->config->keep_sent_us > 0;
}

static void
note(struct my_session *session, const struct error *why)
{
    if (is_wanted(session)) {
        session->sent.trouble = *why;
    }
}

bool
my_sent_learn(struct my_session *session)
{
    char grants[200];
    unsigned number;
    struct error why;
    struct my_sent *const sent = &session->sent;
    sent->empty = false;
    sent->usable = my_privileges_missing(session->mysql, true, grants, sizeof(grants), &number);
    if (!sent->usable) {
        (void)my_session_fail_by_mysql(session); /* always false */
        why = session->error;
        if (number == ER_NO_SUCH_TABLE) {
            error_set(&why, ERROR_CONFIG,
                      "there is no table outbox_sent_batch: run `outbox-relay init`");
        }
        note(session, &why);
        return !session->broken;
    }
    if (grants[0] != '\0') {
        sent->usable = false;
        error_set(&why, ERROR_CONFIG, "the relay's account lacks a privilege: %s", grants);
        note(session, &why);
    }
    return true;
}

static bool
is_usable(const struct my_sent *sent)
{
    return sent->usable && clock_monotonic_us() >= sent->paused_until_us;
}

static void
pause(struct my_session *session, const struct error *why)
{
    note(session, why);
    session->sent.paused_until_us = clock_monotonic_us() + PAUSE_US;
}

/* What is done in a transaction. */
struct attempt {
    bool (*record)(struct my_session *session, void *context);
    bool (*remove)(struct my_session *session, void *context);
    void *context;
    bool refused; /* the record, for `why`; it is not tried again */
    struct error why;
};

/* A statement that is refused, or waits for a lock in vain, leaves the rest of its transaction to be done. If the server has
 * rolled it back (a deadlock, innodb_rollback_on_timeout), what follows is done without one, which is as good. */
static bool
run_attempt(struct my_session *session, void *context)
{
    struct attempt *const attempt = context;
    if (!attempt->refused && !attempt->record(session, attempt->context)) {
        attempt->refused = true;
        attempt->why = session->error;
        if (session->broken) {
            return false;
        }
    }
    return attempt->remove == NULL || attempt->remove(session, attempt->context);
}

/* In a transaction no statement is tried again by itself, so that one waits for a lock once. */
static bool
run(struct my_session *session, struct attempt *attempt)
{
    const bool good = my_session_transaction(session, run_attempt, attempt);
    if (attempt->refused && !session->broken) {
        pause(session, &attempt->why);
    }
    return good;
}

bool
my_sent_remove(struct my_session *session,
               bool (*record)(struct my_session *session, void *context),
               bool (*remove)(struct my_session *session, void *context), void *context)
{
    struct attempt attempt = {.record = record, .remove = remove, .context = context};
    return is_wanted(session) && is_usable(&session->sent) ? run(session, &attempt)
                                                           : remove(session, context);
}

static bool
forget(struct my_session *session, void *context)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "rows", FORGET_BATCHES);
    my_parameters_int(&parameters, "age_us", (int64_t)session->config->keep_sent_us);
    my_parameters_int(&parameters, "bytes", (int64_t)session->config->keep_sent_bytes);
    return my_session_run(session, sql_forget_sent, &parameters, context);
}

bool
my_sent_forget(struct my_session *session, bool *ret_more)
{
    uint64_t count = 0;
    struct my_sent *const sent = &session->sent;
    struct attempt attempt = {.record = forget, .context = &count};
    *ret_more = false;
    if (sent->empty || !is_usable(sent)) {
        return true;
    }
    if (!run(session, &attempt)) {
        return !session->broken;
    }
    *ret_more = count >= FORGET_BATCHES;
    sent->empty = !*ret_more && !attempt.refused && !is_wanted(session);
    return true;
}

struct error
my_sent_take_trouble(struct my_session *session)
{
    const struct error trouble = session->sent.trouble;
    session->sent.trouble.text[0] = '\0';
    return trouble;
}
