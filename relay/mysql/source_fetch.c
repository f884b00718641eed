#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/mysql/error.h"
#include "relay/mysql/ids.h"
#include "relay/mysql/source_private.h"

#include "mysql_fetch_heads_bare_sql.h"
#include "mysql_fetch_heads_sql.h"
#include "mysql_fetch_next_bare_sql.h"
#include "mysql_fetch_next_exact_sql.h"
#include "mysql_fetch_next_sql.h"
#include "mysql_patience_sql.h"
#include "mysql_present_range_sql.h"
#include "mysql_present_sql.h"

/* The server reads a row's payload to know its length. Where rows are large, at most READ_TIMES as many rows are asked
 * for as can be delivered, but at least READ_ROWS_MIN. */
#define READ_TIMES 4
#define READ_ROWS_MIN 16
/* The leases that a statement may take after the request was halved. The server would end the session if it had to
 * interrupt the statement while it sends rows. (No ping is possible meanwhile, so not from the first try on.) */
#define PATIENCE 4
/* How many ids one statement looks up: 210 KB of text, well below the smallest max_allowed_packet in use. */
#define PRESENT_IDS_MAX 10000

/* ---- on the link's thread ------------------------------------------------------------------------------- */

static const char *
statement_of(const struct my_fetch *fetch)
{
    if (fetch->kind == FETCH_HEADS) {
        return fetch->bare ? sql_fetch_heads_bare : sql_fetch_heads;
    }
    if (fetch->bare) {
        return sql_fetch_next_bare;
    }
    return fetch->exact ? sql_fetch_next_exact : sql_fetch_next;
}

/* Sets the ids that fetch_next.sql leaves out. */
static void
put_except(struct my_parameters *parameters, struct my_fetch *fetch)
{
    struct my_ids ids = {.items = fetch->ids, .count = fetch->id_count};
    if (fetch->kind == FETCH_HEADS) {
        ids.count = 0; /* the ids of FETCH_HEADS are a list of what to read */
    }
    my_ids_sort(&ids);
    my_parameters_int(parameters, "except_last",
                      ids.count > 0 ? ids.items[ids.count - 1] : INT64_MIN);
    my_parameters_edges(parameters, "except_edges", ids.items, ids.count);
}

static bool
ask_for_rows(struct my_session *session, struct my_fetch *fetch, MYSQL_RES **ret_rows)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "rows", fetch->limit);
    my_parameters_int(&parameters, "after_id", fetch->after_id);
    my_parameters_int(&parameters, "end_id", fetch->end_id);
    my_parameters_ints(&parameters, "ids", fetch->ids, fetch->id_count + fetch->unread_count);
    put_except(&parameters, fetch);
    my_parameters_int(&parameters, "bytes", fetch->bytes);
    my_parameters_int(&parameters, "message_bytes", SOURCE_MESSAGE_BYTES_MAX);
    my_parameters_text(&parameters, "why", fetch->why);
    my_parameters_null(&parameters, "unread");
    my_parameters_ints(&parameters, "unread_ids", NULL, 0);
    return my_session_ask(session, statement_of(fetch), &parameters, ret_rows);
}

/* Asks for those of the held messages that are known as unreadable. *ret_rows is NULL if there are none. */
static bool
ask_for_unread(struct my_session *session, struct my_fetch *fetch, MYSQL_RES **ret_rows)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "rows", fetch->limit);
    my_parameters_ints(&parameters, "ids", fetch->ids, fetch->id_count);
    my_parameters_null(&parameters, "why");
    my_parameters_text(&parameters, "unread", fetch->unread);
    my_parameters_ints(&parameters, "unread_ids", fetch->ids + fetch->id_count,
                       fetch->unread_count);
    if (!my_session_ask(session, sql_fetch_heads_bare, &parameters, ret_rows)) {
        return false;
    }
    if (mysql_num_rows(*ret_rows) == 0) {
        mysql_free_result(*ret_rows);
        *ret_rows = NULL;
    }
    return true;
}

static bool
set_patience(struct my_session *session, uint64_t leases)
{
    const uint64_t lease_us = leases * session->config->takeover_us;
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "lease_s", (int64_t)((lease_us + CLOCK_S_US - 1) / CLOCK_S_US));
    my_parameters_int(&parameters, "lease_ms", (int64_t)(lease_us / CLOCK_MS_US));
    return my_session_run(session, sql_patience, &parameters, NULL);
}

static bool
ask_patiently(struct my_session *session, struct my_fetch *fetch, MYSQL_RES **ret_rows)
{
    if (!set_patience(session, fetch->patience)) {
        return false;
    }
    const bool good = ask_for_rows(session, fetch, ret_rows);
    const struct error why = session->error;
    const unsigned code = session->code;
    if (session->broken || !my_source_set_variables(session)) {
        return false;
    }
    session->error = why;
    session->code = code;
    return good;
}

/* *ret_only_unread: these are only the unreadable ones; the others must be asked for next. */
static bool
ask(struct my_session *session, struct my_fetch *fetch, MYSQL_RES **ret_rows, bool *ret_only_unread)
{
    if (fetch->unread_count > 0 && !ask_for_unread(session, fetch, ret_rows)) {
        return false;
    }
    *ret_only_unread = *ret_rows != NULL;
    if (*ret_only_unread) {
        return true;
    }
    return fetch->patience > 0 ? ask_patiently(session, fetch, ret_rows)
                               : ask_for_rows(session, fetch, ret_rows);
}

static bool
fetch_run(struct my_session *session, struct my_job *job)
{
    struct my_fetch *fetch = (struct my_fetch *)job;
    MYSQL_RES *rows = NULL;
    bool only_unread = false;
    if (!ask(session, fetch, &rows, &only_unread)) {
        mysql_free_result(rows);
        return false;
    }
    session->code = 0;
    fetch->batch = my_rows_decode_take(rows, fetch->rows, &fetch->hash, &session->error);
    if (fetch->batch != NULL && only_unread) {
        fetch->batch->complete = false;
    }
    return fetch->batch != NULL;
}

/* Adds the existing ids of one part of those that were asked for. */
static bool
look_at_part(struct my_session *session, struct my_present *present, size_t first, size_t count)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    struct my_parameters parameters = {.count = 0};
    my_parameters_ids(&parameters, "ids", present->asked + first, count);
    my_parameters_int(&parameters, "first_id", count > 0 ? present->asked[first] : 0);
    my_parameters_int(&parameters, "last_id", count > 0 ? present->asked[first + count - 1] : 0);
    if (!my_session_ask(session, present->dense ? sql_present_range : sql_present, &parameters,
                        &rows)) {
        return false;
    }
    while (present->count < present->room && (row = mysql_fetch_row(rows)) != NULL) {
        present->ids[present->count++] = my_value_int(row[0]);
    }
    mysql_free_result(rows);
    return true;
}

static bool
present_run(struct my_session *session, struct my_job *job)
{
    struct my_present *present = (struct my_present *)job;
    bool good = true;
    present->count = 0;
    for (size_t at = 0; at < present->asked_count && good; at += PRESENT_IDS_MAX) {
        const size_t left = present->asked_count - at;
        const bool all = present->dense || left < PRESENT_IDS_MAX;
        good = look_at_part(session, present, at, all ? left : PRESENT_IDS_MAX);
        if (present->dense) {
            break;
        }
    }
    return good;
}

/* ---- on the pipeline's ---------------------------------------------------------------------------------- */

/* Adds, after the other ids, the held messages that cannot be read, and their reasons as a JSON object. */
static void
add_unread(struct my_fetch *fetch, uint64_t now_us)
{
    char *at = fetch->unread;
    fetch->unread_count = 0;
    for (size_t i = 0; i < FETCH_PLAN_UNREAD_MAX && fetch->kind == FETCH_HEADS; i++) {
        const struct fetch_unread *const unread = &fetch->plan.unread[i];
        if (!fetch_plan_is_unread(unread, now_us)) {
            continue;
        }
        at += snprintf(at, 40, "%s\"%" PRId64 "\":\"", at == fetch->unread ? "{" : ",",
                       unread->id); /* fits */
        for (const char *byte = unread->reason; *byte != '\0'; byte++) {
            at += snprintf(at, 3, "%02x", (unsigned)(uint8_t)*byte);
        }
        *at++ = '"';
        fetch->ids[fetch->id_count + fetch->unread_count++] = unread->id;
    }
    (void)snprintf(at, 2, "%s", at > fetch->unread ? "}" : "");
}

static uint64_t
patience_of(const struct fetch_plan *plan)
{
    if (plan->bare) {
        return 0;
    }
    return fetch_plan_is_alone(plan)    ? FETCH_PLAN_PATIENCE
           : fetch_plan_is_halved(plan) ? PATIENCE
                                        : 0;
}

static void fetch_done(struct source_mysql *self, struct my_job *job, uint64_t now_us);

static void
send_fetch(struct source_mysql *self, uint64_t now_us)
{
    struct my_fetch *fetch = &self->fetch;
    struct fetch_plan *plan = &fetch->plan;
    fetch_plan_send(plan, self->watermark.mark.final_id, now_us);
    fetch->job = (struct my_job){.run = fetch_run, .done = fetch_done, .words = "for rows"};
    fetch->kind = plan->kind;
    fetch->exact = plan->exact;
    fetch->bare = plan->bare;
    fetch->patience = patience_of(plan);
    fetch->after_id = plan->after_id;
    fetch->end_id = plan->stretch_end;
    fetch->rows = fetch_plan_rows(plan);
    fetch->limit = fetch_plan_limit(plan);
    fetch->bytes = fetch_plan_bytes(plan);
    fetch->batch = NULL;
    memcpy(fetch->why, plan->trouble, sizeof(fetch->why));
    add_unread(fetch, now_us);
    my_ask(self, &fetch->job, now_us);
}

/* Where rows are large, few are asked for; when they become smaller again, at most four times as many the next time. */
static void
learn_size(struct fetch_plan *plan, const struct batch *batch)
{
    uint64_t bytes = 1;
    for (size_t i = 0; i < batch->count; i++) {
        bytes += batch->rows[i].payload.size + batch->rows[i].headers.size;
    }
    const uint64_t rows =
        batch->count > 0 ? READ_TIMES * plan->bytes_max / bytes * batch->count : 0;
    const uint64_t grown = READ_TIMES * (uint64_t)plan->rows_cap;
    const uint64_t cap = rows < grown ? rows : grown;
    plan->rows_cap = cap < READ_ROWS_MIN ? READ_ROWS_MIN
                     : cap < UINT32_MAX  ? (uint32_t)cap
                                         : UINT32_MAX;
}

static void
deliver(struct source_mysql *self, uint64_t now_us)
{
    struct my_fetch *fetch = &self->fetch;
    struct batch *const batch = fetch->batch;
    bool slow = false;
    fetch->batch = NULL;
    const bool nothing = batch->count == 0 && batch->complete;
    const bool whole = fetch_plan_answered(&fetch->plan, batch, now_us, &slow);
    if (fetch->kind == FETCH_NEXT && !nothing) {
        learn_size(&fetch->plan, batch);
    }
    if (slow) {
        my_notice(self, ERROR_TRANSIENT, "the table is read %s", fetch->plan.slow);
    }
    if (whole) {
        my_event_push(self, SOURCE_ROWS)->rows = batch;
        return;
    }
    batch_free(batch);
    send_fetch(self, now_us);
}

static void
fetch_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    if (job->ok) {
        deliver(self, now_us);
    } else if (my_error_may_be_of_row(job->code, false) &&
               fetch_plan_refused(&self->fetch.plan, job->error.text)) {
        send_fetch(self, now_us);
    } else {
        my_source_lost(self, &job->error, now_us);
    }
}

/* A new array with room for `more` ids. */
static int64_t *
copy_ids(const int64_t *ids, size_t count, size_t more)
{
    int64_t *const copy = memory_array(count + more, sizeof(*copy));
    if (count > 0) {
        memcpy(copy, ids, count * sizeof(*copy));
    }
    return copy;
}

static void
present_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_present *present = (struct my_present *)job;
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
        return;
    }
    if (present->dense) {
        present->count =
            fetch_present_keep(present->ids, present->count, present->asked, present->asked_count);
    }
    struct source_present *told = &my_event_push(self, SOURCE_PRESENT)->present;
    told->count = present->count;
    told->ids = present->count > 0 ? present->ids : NULL;
    if (present->count > 0) {
        present->ids = NULL;
    }
    my_present_clear(present);
}

void
my_present_clear(struct my_present *present)
{
    memory_free(present->asked);
    memory_free(present->ids);
    *present = (struct my_present){.count = 0};
}

static void
ask_present(struct source_mysql *self, const struct fetch *fetch, uint64_t now_us)
{
    struct my_present *present = &self->present;
    const bool dense = fetch_present_is_dense(fetch);
    *present = (struct my_present){
        .job = {.run = present_run, .done = present_done, .words = "which rows are there"},
        .dense = dense,
        .asked = copy_ids(fetch->ids, fetch->id_count, 0),
        .asked_count = fetch->id_count,
        .room = (dense ? 2 : 1) * fetch->id_count,
    };
    present->ids = memory_array(present->room, sizeof(*present->ids));
    my_ask(self, &present->job, now_us);
}

void
my_fetch_ask(struct source_mysql *self, const struct fetch *fetch, uint64_t now_us)
{
    struct my_fetch *mine = &self->fetch;
    if (fetch->kind == FETCH_PRESENT) {
        ask_present(self, fetch, now_us);
        return;
    }
    fetch_plan_begin(&mine->plan, fetch);
    memory_free(mine->ids);
    mine->ids = copy_ids(fetch->ids, fetch->id_count, FETCH_PLAN_UNREAD_MAX);
    mine->id_count = fetch->id_count;
    send_fetch(self, now_us);
}

/* An end that the server announced (a shutdown, a kill) is not the statement's fault. */
void
my_fetch_lost(struct source_mysql *self, const struct error *error, bool announced, uint64_t now_us)
{
    struct my_fetch *fetch = &self->fetch;
    fetch_plan_lost(&fetch->plan, announced || error->class == ERROR_CONFIG, error->text, now_us);
    batch_free(fetch->batch);
    fetch->batch = NULL;
    memory_free(fetch->ids);
    fetch->ids = NULL;
    my_present_clear(&self->present);
}
