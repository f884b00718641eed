#include <mysqld_error.h>
#include <stdio.h>

#include "base/memory.h"
#include "relay/mysql/admin.h"

#include "mysql_explain_before_sql.h"
#include "mysql_explain_outbox_sql.h"
#include "mysql_explain_sent_since_sql.h"
#include "mysql_explain_sent_sql.h"

static const struct my_parameters none = {.count = 0};

/* The findings now own `rows`. */
static void
read_pending(MYSQL_RES *rows, struct admin_findings *findings)
{
    const size_t count = mysql_num_rows(rows);
    findings->pending = memory_array(count, sizeof(*findings->pending));
    findings->pending_count = count;
    findings->pending_rows = my_admin_own(rows);
    for (size_t i = 0; i < count; i++) {
        const MYSQL_ROW row = mysql_fetch_row(rows);
        findings->pending[i] = (struct admin_pending){
            .id = my_value_int(row[0]),
            .message_id = row[1],
            .key = row[2],
            .type = row[3],
            .created_us = my_admin_int(row[4], ADMIN_NO_TIME),
            .deliver_after_us = my_admin_int(row[5], ADMIN_NO_TIME),
            .scheduled = my_value_bool(row[6]),
        };
    }
}

static bool
find_before(struct my_session *session, struct admin_pending *pending)
{
    int64_t before;
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "id", pending->id);
    const bool good = my_session_int(session, sql_explain_before, &parameters, 0, &before);
    pending->before = good ? (uint64_t)before : 0;
    return good;
}

static bool
find_pending(struct admin *admin, const struct my_parameters *name, struct admin_findings *findings,
             struct error *reterr)
{
    MYSQL_RES *rows;
    if (!my_admin_ask(admin, sql_explain_outbox, name, &rows, reterr)) {
        return false;
    }
    read_pending(rows, findings);
    for (size_t i = 0; i < findings->pending_count; i++) {
        if (!find_before(my_admin_session(admin), &findings->pending[i])) {
            return my_admin_fail(admin, reterr);
        }
    }
    return true;
}

static bool
find_held(struct admin *admin, const struct admin_name *name, struct admin_findings *findings,
          struct error *reterr)
{
    struct admin_ids ids;
    if (!my_admin_held_find(admin, name, &ids, reterr)) {
        return false;
    }
    const struct admin_filter filter = {.ids = &ids};
    const bool good = my_admin_held_list(admin, &filter, 0, false, &findings->held, reterr);
    memory_free(ids.items);
    return good;
}

/* Says why there is no record to read; an error of another kind is one of the question. */
static bool
refuse_sent(struct admin *admin, struct admin_sent *sent, struct error *reterr)
{
    const unsigned code = my_admin_session(admin)->code;
    if (code != ER_NO_SUCH_TABLE && code != ER_TABLEACCESS_DENIED_ERROR) {
        return my_admin_fail(admin, reterr);
    }
    (void)snprintf(sent->unknown, sizeof(sent->unknown), "%s",
                   code == ER_NO_SUCH_TABLE
                       ? "there is no table outbox_sent_batch: run `outbox-relay init`"
                       : "this account lacks a privilege: grant select on outbox_sent_batch");
    return true;
}

static bool
read_sent(struct admin *admin, const struct my_parameters *name, struct admin_sent *sent,
          struct error *reterr)
{
    MYSQL_RES *rows;
    if (!my_admin_ask(admin, sql_explain_sent, name, &rows, reterr)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    if (row != NULL) {
        sent->id = my_value_int(row[0]);
        (void)snprintf(sent->message_id, UUID_TEXT_BYTES, "%s", row[1]); /* fits */
        sent->at_us = my_admin_int(row[2], ADMIN_NO_TIME);
    }
    mysql_free_result(rows);
    return true;
}

static bool
find_sent(struct admin *admin, const struct my_parameters *name, struct admin_findings *findings,
          struct error *reterr)
{
    struct admin_sent *const sent = &findings->sent;
    sent->at_us = ADMIN_NO_TIME;
    sent->since_us = ADMIN_NO_TIME;
    if (findings->pending_count > 0 || findings->held.count > 0) {
        return true; /* not sent since, and the record may be large */
    }
    if (!my_session_int(my_admin_session(admin), sql_explain_sent_since, &none, ADMIN_NO_TIME,
                        &sent->since_us)) {
        return refuse_sent(admin, sent, reterr);
    }
    return sent->since_us == ADMIN_NO_TIME || read_sent(admin, name, sent, reterr);
}

static bool
run(struct admin *admin, const char *sql, struct error *reterr)
{
    return my_session_run(my_admin_session(admin), sql, &none, NULL) ||
           my_admin_fail(admin, reterr);
}

/* Messages move between the tables while the relay works; in one snapshot each is in exactly one of them. */
static bool
find_in_snapshot(struct admin *admin, const struct admin_name *name,
                 struct admin_findings *findings, struct error *reterr)
{
    struct my_parameters parameters = {.count = 0};
    my_admin_name(&parameters, name);
    return run(admin, "set transaction isolation level repeatable read", reterr) &&
           run(admin, "start transaction with consistent snapshot, read only", reterr) &&
           find_pending(admin, &parameters, findings, reterr) &&
           find_held(admin, name, findings, reterr) &&
           my_admin_held_acts(admin, name, &findings->acts, reterr) &&
           find_sent(admin, &parameters, findings, reterr) && run(admin, "commit", reterr);
}

bool
my_admin_explain(struct admin *admin, const struct admin_name *name,
                 struct admin_findings *ret_findings, struct error *reterr)
{
    struct error ignored; /* the first error counts */
    struct admin_findings findings = {0};
    /* The writers come before the snapshot: a transaction that is not on this list is over, so its rows are in the
     * snapshot. */
    if (!my_admin_find_writers(admin, &findings, reterr)) {
        admin_findings_free(&findings);
        return false;
    }
    if (!find_in_snapshot(admin, name, &findings, reterr)) {
        /* It may fail: if the connection is gone, so is the transaction. */
        (void)run(admin, "rollback", &ignored);
        admin_findings_free(&findings);
        return false;
    }
    *ret_findings = findings;
    return true;
}
