#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/ports/admin_ops.h"
#include "relay/postgres/admin.h"
#include "relay/postgres/foreground.h"

#include "held_acts_sql.h"
#include "held_count_sql.h"
#include "held_discard_sql.h"
#include "held_find_sql.h"
#include "held_head_sql.h"
#include "held_heads_of_sql.h"
#include "held_list_sql.h"
#include "held_reasons_sql.h"
#include "held_retry_sql.h"
#include "held_waiting_sql.h"

#define NUMBER_BYTES 24

/* $1 to $6 of the statements with a filter; $7 to $10 of held_list.sql. */
struct filter_values {
    const char *values[10];
    char *ids; /* the caller frees it once the statement was sent */
    char after[NUMBER_BYTES];
    char older_us[NUMBER_BYTES];
    char limit[NUMBER_BYTES];
};

/* As PostgreSQL writes an array: {1,2}. Returns a new text for memory_free. */
static char *
ids_text(const struct admin_ids *ids)
{
    char *const text = memory_array(ids->count + 1, NUMBER_BYTES);
    char *at = stpcpy(text, "{");
    for (size_t i = 0; i < ids->count; i++) {
        at += snprintf(at, NUMBER_BYTES, "%s%" PRId64, i == 0 ? "" : ",", ids->items[i]); /* fits */
    }
    (void)stpcpy(at, "}"); /* fits */
    return text;
}

/* From two columns: how many, and the ids with spaces between them. */
static struct admin_ids
read_ids(const PGresult *result, int column)
{
    const size_t count = (size_t)admin_postgres_int(result, 0, column, 0);
    const struct admin_ids ids = {.items = memory_array(count, sizeof(int64_t)), .count = count};
    const char *at = PQgetvalue(result, 0, column + 1);
    for (size_t i = 0; i < count; i++) {
        char *end;
        ids.items[i] = strtoll(at, &end, 10);
        at = end;
    }
    return ids;
}

static void
fill_filter(struct filter_values *ret_filter, const struct admin_filter *filter)
{
    (void)snprintf(ret_filter->older_us, NUMBER_BYTES, "%" PRIu64,
                   filter->older_than_us); /* fits */
    ret_filter->ids = filter->ids == NULL ? NULL : ids_text(filter->ids);
    ret_filter->values[0] = ret_filter->ids;
    ret_filter->values[1] = filter->state;
    ret_filter->values[2] = filter->key;
    ret_filter->values[3] = filter->type;
    ret_filter->values[4] = filter->reason;
    ret_filter->values[5] = filter->older_than_us == 0 ? NULL : ret_filter->older_us;
}

static void
read_message(const PGresult *result, int row, struct admin_message *ret_message)
{
    *ret_message = (struct admin_message){
        .id = admin_postgres_int(result, row, HELD_COLUMN_ID, 0),
        .message_id = admin_postgres_text(result, row, HELD_COLUMN_MESSAGE_ID),
        .state = admin_postgres_text(result, row, HELD_COLUMN_STATE),
        .skipped = admin_postgres_bool(result, row, HELD_COLUMN_SKIPPED),
        .attempts = (uint32_t)admin_postgres_int(result, row, HELD_COLUMN_ATTEMPTS, 0),
        .key = admin_postgres_text(result, row, HELD_COLUMN_KEY),
        .type = admin_postgres_text(result, row, HELD_COLUMN_TYPE),
        .exchange = admin_postgres_text(result, row, HELD_COLUMN_EXCHANGE),
        .routing_key = admin_postgres_text(result, row, HELD_COLUMN_ROUTING_KEY),
        .content_type = admin_postgres_text(result, row, HELD_COLUMN_CONTENT_TYPE),
        .last_error = admin_postgres_text(result, row, HELD_COLUMN_LAST_ERROR),
        .payload_bytes = (uint64_t)admin_postgres_int(result, row, HELD_COLUMN_PAYLOAD_BYTES, 0),
        .next_attempt_us = admin_postgres_int(result, row, HELD_COLUMN_NEXT_ATTEMPT, ADMIN_NO_TIME),
        .held_us = admin_postgres_int(result, row, HELD_COLUMN_HELD, ADMIN_NO_TIME),
        .created_us = admin_postgres_int(result, row, HELD_COLUMN_CREATED, ADMIN_NO_TIME),
        .deliver_after_us =
            admin_postgres_int(result, row, HELD_COLUMN_DELIVER_AFTER, ADMIN_NO_TIME),
        .headers = admin_postgres_text(result, row, HELD_COLUMN_HEADERS),
        .now_us = admin_postgres_int(result, row, HELD_COLUMN_NOW, 0),
    };
}

/* PQunescapeBytea returns new memory from malloc: PQfreemem, which is to free it, is free() except on Windows. */
static bool
read_payload(const PGresult *result, int row, struct admin_message *message)
{
    const char *const text = admin_postgres_text(result, row, HELD_COLUMN_PAYLOAD);
    size_t size;
    message->payload = text == NULL ? NULL : PQunescapeBytea((const unsigned char *)text, &size);
    return text == NULL || message->payload != NULL;
}

static PGresult *
ask_list(struct admin *admin, const struct filter_values *list, struct error *reterr)
{
    return admin_postgres_query_texts(admin, sql_held_list, 10, list->values, reterr);
}

/* A text that is not UTF-8 makes the statement fail. So the limit is halved, down to the one message, which is asked
 * for escaped. */
static PGresult *
list_what_is_readable(struct admin *admin, struct filter_values *list, uint64_t limit,
                      struct admin_messages *ret_messages, bool *ret_escaped, struct error *reterr)
{
    PGresult *result = ask_list(admin, list, reterr);
    while (result == NULL && reterr->class == ERROR_MESSAGE && limit > 1) {
        limit /= 2;
        ret_messages->cut = true;
        (void)snprintf(list->limit, NUMBER_BYTES, "%" PRIu64, limit); /* fits */
        result = ask_list(admin, list, reterr);
    }
    if (result == NULL && reterr->class == ERROR_MESSAGE) {
        *ret_escaped = true;
        list->values[9] = "t";
        result = ask_list(admin, list, reterr);
    }
    return result;
}

bool
admin_postgres_held_list(struct admin *admin, const struct admin_filter *filter, uint64_t limit,
                         bool whole, struct admin_messages *ret_messages, struct error *reterr)
{
    struct filter_values list;
    fill_filter(&list, filter);
    (void)snprintf(list.limit, NUMBER_BYTES, "%" PRIu64, limit); /* fits */
    list.values[6] = limit == 0 ? NULL : list.limit;
    list.values[7] = whole ? "t" : "f";
    if (filter->after != NULL) {
        (void)snprintf(list.after, NUMBER_BYTES, "%" PRId64, *filter->after); /* fits */
    }
    list.values[8] = filter->after == NULL ? NULL : list.after;
    list.values[9] = "f";
    bool escaped = false;
    *ret_messages = (struct admin_messages){0};
    PGresult *const result =
        list_what_is_readable(admin, &list, limit, ret_messages, &escaped, reterr);
    memory_free(list.ids);
    if (result == NULL) {
        return false;
    }
    const int count = PQntuples(result);
    ret_messages->messages = memory_array((size_t)count, sizeof(*ret_messages->messages));
    ret_messages->count = (size_t)count;
    ret_messages->rows = admin_postgres_own(result);
    for (int i = 0; i < count; i++) {
        read_message(result, i, &ret_messages->messages[i]);
        ret_messages->messages[i].escaped = escaped;
        if (!read_payload(result, i, &ret_messages->messages[i])) {
            admin_messages_free(ret_messages);
            return error_set(reterr, ERROR_TRANSIENT, "out of memory");
        }
    }
    return true;
}

bool
admin_postgres_held_count(struct admin *admin, const struct admin_filter *filter,
                          struct admin_counts *ret_counts, struct admin_ids *ret_ids,
                          struct error *reterr)
{
    struct filter_values count;
    fill_filter(&count, filter);
    PGresult *const result = admin_postgres_query(admin, sql_held_count, 6, count.values, reterr);
    memory_free(count.ids);
    if (result == NULL) {
        return false;
    }
    *ret_counts = admin_postgres_counts(result, 0);
    *ret_ids = read_ids(result, 4);
    PQclear(result);
    return true;
}

bool
admin_postgres_held_reasons(struct admin *admin, struct held_reasons *ret_reasons,
                            struct error *reterr)
{
    char most[NUMBER_BYTES];
    char size[NUMBER_BYTES];
    const char *const values[] = {most, size};
    (void)snprintf(most, sizeof(most), "%d", HELD_REASON_MESSAGES); /* these fit */
    (void)snprintf(size, sizeof(size), "%d", HELD_REASON_BYTES);
    PGresult *const result = admin_postgres_query(admin, sql_held_reasons, 2, values, reterr);
    if (result == NULL) {
        return false;
    }
    *ret_reasons = (struct held_reasons){.dead = {0}};
    for (int i = 0; i < PQntuples(result); i++) {
        uint64_t *const counts =
            admin_postgres_bool(result, i, 0) ? ret_reasons->dead : ret_reasons->retrying;
        counts[held_reason_of(admin_postgres_text(result, i, 1))] +=
            (uint64_t)admin_postgres_int(result, i, 2, 0);
    }
    PQclear(result);
    return true;
}

bool
admin_postgres_held_find(struct admin *admin, const struct admin_name *name,
                         struct admin_ids *ret_ids, struct error *reterr)
{
    const char *values[2];
    admin_postgres_name(name, values);
    PGresult *const result = admin_postgres_query(admin, sql_held_find, 2, values, reterr);
    if (result == NULL) {
        return false;
    }
    *ret_ids = read_ids(result, 0);
    PQclear(result);
    return true;
}

/* The message that holds the key back, as a list of one or none. */
static bool
find_head(struct admin *admin, const char *key, struct admin_messages *ret_head,
          struct error *reterr)
{
    const char *const values[] = {key};
    PGresult *const result = admin_postgres_query(admin, sql_held_head, 1, values, reterr);
    if (result == NULL) {
        return false;
    }
    int64_t id = 0;
    const struct admin_ids ids = {.items = &id, .count = PQntuples(result) == 1 ? 1 : 0};
    if (ids.count == 1) {
        id = admin_postgres_int(result, 0, 0, 0);
    }
    PQclear(result);
    const struct admin_filter filter = {.ids = &ids};
    return admin_postgres_held_list(admin, &filter, 1, false, ret_head, reterr);
}

bool
admin_postgres_held_place(struct admin *admin, const char *key, int64_t id,
                          struct admin_place *ret_place, struct error *reterr)
{
    char id_text[NUMBER_BYTES];
    (void)snprintf(id_text, sizeof(id_text), "%" PRId64, id); /* fits */
    const char *const values[] = {key, id_text};
    PGresult *const result = admin_postgres_query(admin, sql_held_waiting, 2, values, reterr);
    if (result == NULL) {
        return false;
    }
    struct admin_place place = {
        .waiting = (uint64_t)admin_postgres_int(result, 0, 0, 0),
        .before = (uint64_t)admin_postgres_int(result, 0, 1, 0),
    };
    PQclear(result);
    if (!find_head(admin, key, &place.head, reterr)) {
        return false;
    }
    *ret_place = place;
    return true;
}

bool
admin_postgres_held_heads_of(struct admin *admin, const struct admin_ids *ids,
                             struct admin_heads *ret_heads, struct error *reterr)
{
    char *const text = ids_text(ids);
    const char *const values[] = {text};
    PGresult *const result = admin_postgres_query(admin, sql_held_heads_of, 1, values, reterr);
    memory_free(text);
    if (result == NULL) {
        return false;
    }
    const int count = PQntuples(result);
    *ret_heads = (struct admin_heads){
        .heads = memory_array((size_t)count, sizeof(*ret_heads->heads)),
        .count = (size_t)count,
        .rows = admin_postgres_own(result),
    };
    for (int i = 0; i < count; i++) {
        ret_heads->heads[i] = (struct admin_head){
            .id = admin_postgres_int(result, i, 0, 0),
            .message_id = admin_postgres_text(result, i, 1),
            .state = admin_postgres_text(result, i, 2),
            .waiting = (uint64_t)admin_postgres_int(result, i, 3, 0),
        };
    }
    return true;
}

static bool
act(struct admin *admin, const char *sql, const struct admin_filter *filter, const char *who,
    struct admin_done *ret_done, struct error *reterr)
{
    struct filter_values values;
    fill_filter(&values, filter);
    values.values[6] = who;
    PGresult *const result = admin_postgres_query(admin, sql, 7, values.values, reterr);
    memory_free(values.ids);
    if (result == NULL) {
        return false;
    }
    ret_done->counts = admin_postgres_counts(result, 0);
    ret_done->freed = (uint64_t)admin_postgres_int(result, 0, 4, 0);
    PQclear(result);
    return true;
}

bool
admin_postgres_held_retry(struct admin *admin, const struct admin_filter *filter, const char *who,
                          struct admin_done *ret_done, struct error *reterr)
{
    return act(admin, sql_held_retry, filter, who, ret_done, reterr);
}

bool
admin_postgres_held_discard(struct admin *admin, const struct admin_filter *filter, const char *who,
                            struct admin_done *ret_done, struct error *reterr)
{
    return act(admin, sql_held_discard, filter, who, ret_done, reterr);
}

bool
admin_postgres_held_acts(struct admin *admin, const struct admin_name *name,
                         struct admin_acts *ret_acts, struct error *reterr)
{
    const char *values[2];
    admin_postgres_name(name, values);
    PGresult *const result = admin_postgres_query(admin, sql_held_acts, 2, values, reterr);
    if (result == NULL) {
        return false;
    }
    const int count = PQntuples(result);
    *ret_acts = (struct admin_acts){
        .acts = memory_array((size_t)count, sizeof(*ret_acts->acts)),
        .count = (size_t)count,
        .rows = admin_postgres_own(result),
    };
    for (int i = 0; i < count; i++) {
        ret_acts->acts[i] = (struct admin_act){
            .at_us = admin_postgres_int(result, i, 0, ADMIN_NO_TIME),
            .who = admin_postgres_text(result, i, 1),
            .what = admin_postgres_text(result, i, 2),
            .state = admin_postgres_text(result, i, 3),
            .held_id = admin_postgres_int(result, i, 4, 0),
            .message_id = admin_postgres_text(result, i, 5),
            .seen = admin_postgres_bool(result, i, 6),
        };
    }
    return true;
}
