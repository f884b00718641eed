#include <stdio.h>

#include "base/memory.h"
#include "relay/ports/admin_ops.h"
#include "relay/postgres/admin.h"
#include "relay/postgres/foreground.h"

#include "explain_outbox_sql.h"
#include "explain_sent_may_sql.h"
#include "explain_sent_sql.h"
#include "explain_writers_sql.h"

/* Called before the snapshot: a transaction that is not on this list is over, so its rows are in the snapshot. */
static bool
find_writers(struct admin *admin, struct admin_findings *findings, struct error *reterr)
{
    PGresult *const result = admin_postgres_query(admin, sql_explain_writers, 0, NULL, reterr);
    if (result == NULL) {
        return false;
    }
    const int count = PQntuples(result);
    findings->writers = memory_array((size_t)count, sizeof(*findings->writers));
    findings->writer_count = (size_t)count;
    findings->writer_rows = admin_postgres_own(result);
    for (int i = 0; i < count; i++) {
        findings->writers[i] = (struct admin_writer){
            .pid = admin_postgres_text(result, i, 0),
            .application = admin_postgres_text(result, i, 1),
            .role = admin_postgres_text(result, i, 2),
            .gid = admin_postgres_text(result, i, 3),
            .since_us = admin_postgres_int(result, i, 4, ADMIN_NO_TIME),
        };
    }
    return true;
}

/* A text that is not UTF-8 makes the statement fail: then all texts are asked for escaped. */
static PGresult *
ask_pending(struct admin *admin, const char *const name[2], bool *ret_escaped, struct error *reterr)
{
    const char *values[] = {name[0], name[1], "f"};
    PGresult *result = admin_postgres_query_texts(admin, sql_explain_outbox, 3, values, reterr);
    *ret_escaped = result == NULL && reterr->class == ERROR_MESSAGE;
    if (*ret_escaped) {
        values[2] = "t";
        result = admin_postgres_query(admin, sql_explain_outbox, 3, values, reterr);
    }
    return result;
}

static bool
find_pending(struct admin *admin, const char *const values[2], struct admin_findings *findings,
             struct error *reterr)
{
    bool escaped;
    PGresult *const result = ask_pending(admin, values, &escaped, reterr);
    if (result == NULL) {
        return false;
    }
    const int count = PQntuples(result);
    findings->pending = memory_array((size_t)count, sizeof(*findings->pending));
    findings->pending_count = (size_t)count;
    findings->pending_rows = admin_postgres_own(result);
    for (int i = 0; i < count; i++) {
        findings->pending[i] = (struct admin_pending){
            .id = admin_postgres_int(result, i, 0, 0),
            .message_id = admin_postgres_text(result, i, 1),
            .key = admin_postgres_text(result, i, 2),
            .type = admin_postgres_text(result, i, 3),
            .escaped = escaped,
            .created_us = admin_postgres_int(result, i, 4, ADMIN_NO_TIME),
            .deliver_after_us = admin_postgres_int(result, i, 5, ADMIN_NO_TIME),
            .scheduled = admin_postgres_bool(result, i, 6),
            .before = (uint64_t)admin_postgres_int(result, i, 7, 0),
        };
    }
    return true;
}

static bool
find_held(struct admin *admin, const struct admin_name *name, struct admin_findings *findings,
          struct error *reterr)
{
    struct admin_ids ids;
    if (!admin_postgres_held_find(admin, name, &ids, reterr)) {
        return false;
    }
    const struct admin_filter filter = {.ids = &ids};
    const bool good = admin_postgres_held_list(admin, &filter, 0, false, &findings->held, reterr);
    memory_free(ids.items);
    return good;
}

/* A statement that fails would end the snapshot, so the rights come first. */
static bool
may_read_sent(struct admin *admin, struct admin_sent *sent, struct error *reterr)
{
    PGresult *const result = admin_postgres_query(admin, sql_explain_sent_may, 0, NULL, reterr);
    if (result == NULL) {
        return false;
    }
    if (!admin_postgres_bool(result, 0, 0)) {
        (void)snprintf(sent->unknown, sizeof(sent->unknown),
                       "there is no table outbox_sent_batch: run `outbox-relay init`"); /* fits */
    } else if (!admin_postgres_bool(result, 0, 1)) {
        (void)snprintf(sent->unknown, sizeof(sent->unknown),
                       "this role lacks a privilege: grant select on outbox_sent_batch"); /* fits */
    }
    PQclear(result);
    return true;
}

static bool
read_sent(struct admin *admin, const char *const values[2], struct admin_sent *sent,
          struct error *reterr)
{
    PGresult *const result = admin_postgres_query(admin, sql_explain_sent, 2, values, reterr);
    if (result == NULL) {
        return false;
    }
    if (PQntuples(result) > 0) {
        sent->id = admin_postgres_int(result, 0, 0, 0);
        (void)snprintf(sent->message_id, UUID_TEXT_BYTES, "%s",
                       PQgetvalue(result, 0, 1)); /* fits */
        sent->at_us = admin_postgres_int(result, 0, 2, ADMIN_NO_TIME);
        sent->since_us = admin_postgres_int(result, 0, 3, ADMIN_NO_TIME);
    }
    PQclear(result);
    return true;
}

static bool
find_sent(struct admin *admin, const char *const values[2], struct admin_findings *findings,
          struct error *reterr)
{
    struct admin_sent *const sent = &findings->sent;
    sent->at_us = ADMIN_NO_TIME;
    sent->since_us = ADMIN_NO_TIME;
    if (findings->pending_count > 0 || findings->held.count > 0) {
        return true; /* not sent since, and the record may be large */
    }
    return may_read_sent(admin, sent, reterr) &&
           (sent->unknown[0] != '\0' || read_sent(admin, values, sent, reterr));
}

/* Messages move between the tables while the relay works; in one snapshot each is in exactly one of them. */
static bool
find_all(struct admin *admin, const struct admin_name *name, struct admin_findings *findings,
         struct error *reterr)
{
    PGconn *const connection = admin_postgres_of(admin)->connection;
    const char *values[2];
    admin_postgres_name(name, values);
    return find_writers(admin, findings, reterr) &&
           postgres_run(connection, "begin isolation level repeatable read, read only", reterr) &&
           find_pending(admin, values, findings, reterr) &&
           find_held(admin, name, findings, reterr) &&
           admin_postgres_held_acts(admin, name, &findings->acts, reterr) &&
           find_sent(admin, values, findings, reterr) && postgres_run(connection, "commit", reterr);
}

bool
admin_postgres_explain(struct admin *admin, const struct admin_name *name,
                       struct admin_findings *ret_findings, struct error *reterr)
{
    struct admin_findings findings = {0};
    if (!find_all(admin, name, &findings, reterr)) {
        admin_findings_free(&findings);
        return false;
    }
    *ret_findings = findings;
    return true;
}
