/* Deletes confirmed messages. A row that cannot be deleted (a foreign key or trigger of others refuses it) is reported;
 * the others are deleted. If one fails, a delete of no rows is tried: if that fails as well, no row is at fault. If the
 * wait for a lock times out, somebody may have locked the table, and deleting fewer rows would not help. (In MariaDB
 * and MySQL no trigger can keep a row without an error.) */
#include <assert.h>
#include <mysqld_error.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/mysql/error.h"
#include "relay/mysql/source_private.h"

#include "mysql_settle_keep_sql.h"
#include "mysql_settle_sql.h"

/* In one statement: 105 KB of text, and the rows that one transaction deletes at a time. */
#define IDS_MAX 5000
#define FORGET_INTERVAL_US (10 * CLOCK_S_US)

/* ---- on the link's thread ------------------------------------------------------------------------------- */

/* The ids of one statement. */
struct part {
    const int64_t *ids;
    size_t count;
};

static bool
delete_rows(struct my_session *session, void *context)
{
    const struct part *part = context;
    struct my_parameters parameters = {.count = 0};
    my_parameters_ints(&parameters, "ids", part->ids, part->count);
    return my_session_run(session, sql_settle, &parameters, NULL);
}

/* It deletes nothing first, and so has the lock on the table that the delete takes. With the weaker one of a read, and somebody who waits
 * to lock the table, the delete was a deadlock, again at each further try (gh-ost's exchange of the tables, MySQL 9.7). */
static bool
record(struct my_session *session, void *context)
{
    const struct part *part = context;
    struct part nothing = {.ids = part->ids, .count = 0};
    struct my_parameters parameters = {.count = 0};
    my_parameters_ids(&parameters, "ids", part->ids, part->count);
    return delete_rows(session, &nothing) &&
           my_session_run(session, sql_settle_keep, &parameters, NULL);
}

/* If a delete of no rows fails too, the row is not at fault. */
static bool
is_of_row(struct my_session *session, int64_t id, struct source_failures *failures)
{
    struct part nothing = {.ids = &id, .count = 0};
    const struct error why = session->error;
    if (!delete_rows(session, &nothing)) {
        return false;
    }
    source_failures_add(failures, id, 0, why.text);
    return true;
}

/* True if a delete of no rows waits in vain as well: LOCK TABLES … READ, or a change of the definition. The reason is
 * in the session. */
static bool
is_table_locked(struct my_session *session, const struct part *part)
{
    struct part nothing = {.ids = part->ids, .count = 0};
    return session->code == ER_LOCK_WAIT_TIMEOUT && !delete_rows(session, &nothing);
}

static bool
settle_ids(struct my_session *session, const int64_t *ids, size_t count,
           struct source_failures *failures)
{
    struct halving parts;
    bool more = count > 0;
    halving_begin(&parts, count);
    while (more) {
        struct part part = {.ids = ids + parts.at, .count = parts.size};
        if (my_sent_remove(session, record, delete_rows, &part)) {
            more = halving_taken(&parts);
        } else if (!my_error_may_be_of_row(session->code, true) ||
                   is_table_locked(session, &part)) {
            return false;
        } else if (!halving_refused(&parts)) {
            if (!is_of_row(session, part.ids[0], failures)) {
                return false;
            }
            more = halving_taken(&parts);
        }
    }
    return true;
}

static bool
settle_run(struct my_session *session, struct my_job *job)
{
    struct my_settle *settle = (struct my_settle *)job;
    bool good = true;
    for (size_t at = 0; at < settle->count && good; at += IDS_MAX) {
        const size_t left = settle->count - at;
        good = settle_ids(session, settle->ids + at, left < IDS_MAX ? left : IDS_MAX,
                          &settle->failures);
    }
    settle->unrecorded = my_sent_take_trouble(session);
    return good;
}

static bool
forget_run(struct my_session *session, struct my_job *job)
{
    struct my_forget *forget = (struct my_forget *)job;
    const bool good = my_sent_forget(session, &forget->more);
    forget->unrecorded = my_sent_take_trouble(session);
    return good;
}

/* ---- on the pipeline's ---------------------------------------------------------------------------------- */

void
my_settle_unrecorded(struct source_mysql *self, const struct error *why)
{
    if (why->text[0] != '\0' && !self->unrecorded_told) {
        self->unrecorded_told = true;
        my_notice(self, ERROR_TRANSIENT,
                  "what is sent is not recorded, so `outbox-relay explain` will not know of it: %s",
                  why->text);
    }
}

/* The job is added again at the end, so others run before the next try. */
static void
wait_for_table(struct source_mysql *self, uint64_t now_us)
{
    struct my_settle *settle = &self->settle;
    if (!settle->wait_told) {
        settle->wait_told = true;
        my_notice(self, ERROR_TRANSIENT,
                  "somebody has locked the outbox (lock tables, or a change of its definition): "
                  "what is confirmed is deleted once that is over");
    }
    my_settle_ask(self, settle->ids, settle->count, now_us);
}

static void
settle_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_settle *settle = (struct my_settle *)job;
    if (!job->ok && job->code == ER_LOCK_WAIT_TIMEOUT) {
        wait_for_table(self, now_us);
        return;
    }
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
        return;
    }
    settle->wait_told = false;
    my_settle_unrecorded(self, &settle->unrecorded);
    my_event_push(self, SOURCE_SETTLED)->settled.failures = source_failures_take(&settle->failures);
}

void
my_settle_ask(struct source_mysql *self, const int64_t *ids, size_t count, uint64_t now_us)
{
    struct my_settle *settle = &self->settle;
    source_failures_clear(&settle->failures);
    settle->job =
        (struct my_job){.run = settle_run, .done = settle_done, .words = "to delete rows"};
    settle->ids = ids;
    settle->count = count;
    my_ask(self, &settle->job, now_us);
}

void
my_settle_lost(struct source_mysql *self)
{
    source_failures_clear(&self->settle.failures);
    self->settle.wait_told = false;
    self->forget.out = false;
    self->forget.not_before_us = 0;
}

static void
forget_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_forget *forget = (struct my_forget *)job;
    forget->out = false;
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
        return;
    }
    my_settle_unrecorded(self, &forget->unrecorded);
    if (forget->more) {
        forget->not_before_us = now_us;
        my_settle_forget(self, now_us);
    }
}

void
my_settle_forget(struct source_mysql *self, uint64_t now_us)
{
    struct my_forget *forget = &self->forget;
    if (!forget->out && now_us >= forget->not_before_us) {
        forget->out = true;
        forget->not_before_us = now_us + FORGET_INTERVAL_US;
        forget->job = (struct my_job){
            .run = forget_run, .done = forget_done, .words = "to forget what was sent"};
        my_ask(self, &forget->job, now_us);
    }
}
