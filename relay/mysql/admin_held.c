#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/admin.h"

#include "mysql_held_acts_sql.h"
#include "mysql_held_count_sql.h"
#include "mysql_held_find_sql.h"
#include "mysql_held_head_sql.h"
#include "mysql_held_list_sql.h"
#include "mysql_held_reasons_sql.h"
#include "mysql_held_waiting_sql.h"

/* Sets the parameters of held_list.sql and held_count.sql for a filter with its ids. */
static void
filter_by_ids(struct my_parameters *parameters, const struct admin_filter *filter)
{
    const struct admin_ids ids = filter->ids == NULL ? (struct admin_ids){0} : *filter->ids;
    my_admin_filter(parameters, filter);
    my_parameters_int(parameters, "named", filter->ids == NULL ? 0 : 1);
    my_parameters_ints(parameters, "ids", ids.items, ids.count);
}

static void
read_message(const MYSQL_ROW row, struct admin_message *ret_message)
{
    *ret_message = (struct admin_message){
        .id = my_value_int(row[HELD_COLUMN_ID]),
        .message_id = row[HELD_COLUMN_MESSAGE_ID],
        .state = row[HELD_COLUMN_STATE],
        .skipped = my_value_bool(row[HELD_COLUMN_SKIPPED]),
        .attempts = (uint32_t)my_value_int(row[HELD_COLUMN_ATTEMPTS]),
        .key = row[HELD_COLUMN_KEY],
        .type = row[HELD_COLUMN_TYPE],
        .exchange = row[HELD_COLUMN_EXCHANGE],
        .routing_key = row[HELD_COLUMN_ROUTING_KEY],
        .content_type = row[HELD_COLUMN_CONTENT_TYPE],
        .last_error = row[HELD_COLUMN_LAST_ERROR],
        .payload_bytes = (uint64_t)my_value_int(row[HELD_COLUMN_PAYLOAD_BYTES]),
        .next_attempt_us = my_admin_int(row[HELD_COLUMN_NEXT_ATTEMPT], ADMIN_NO_TIME),
        .held_us = my_admin_int(row[HELD_COLUMN_HELD], ADMIN_NO_TIME),
        .created_us = my_admin_int(row[HELD_COLUMN_CREATED], ADMIN_NO_TIME),
        .deliver_after_us = my_admin_int(row[HELD_COLUMN_DELIVER_AFTER], ADMIN_NO_TIME),
        .headers = row[HELD_COLUMN_HEADERS],
        .now_us = my_value_int(row[HELD_COLUMN_NOW]),
    };
}

static bool
read_payload(const MYSQL_ROW row, const unsigned long *lengths, struct admin_message *message)
{
    if (row[HELD_COLUMN_PAYLOAD] == NULL) {
        return true;
    }
    const size_t size = lengths[HELD_COLUMN_PAYLOAD];
    message->payload = malloc(size + 1); /* an empty payload is not NULL */
    if (message->payload != NULL) {
        memcpy(message->payload, row[HELD_COLUMN_PAYLOAD], size);
    }
    return message->payload != NULL;
}

/* The messages now own `rows`, also if it fails. */
static bool
read_messages(MYSQL_RES *rows, struct admin_messages *ret_messages, struct error *reterr)
{
    const size_t count = mysql_num_rows(rows);
    *ret_messages = (struct admin_messages){
        .messages = memory_array(count, sizeof(*ret_messages->messages)),
        .count = count,
        .rows = my_admin_own(rows),
    };
    for (size_t i = 0; i < count; i++) {
        const MYSQL_ROW row = mysql_fetch_row(rows);
        read_message(row, &ret_messages->messages[i]);
        if (!read_payload(row, mysql_fetch_lengths(rows), &ret_messages->messages[i])) {
            admin_messages_free(ret_messages);
            return error_set(reterr, ERROR_TRANSIENT, "out of memory");
        }
    }
    return true;
}

bool
my_admin_held_list(struct admin *admin, const struct admin_filter *filter, uint64_t limit,
                   bool whole, struct admin_messages *ret_messages, struct error *reterr)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    filter_by_ids(&parameters, filter);
    my_parameters_int(&parameters, "whole", whole ? 1 : 0);
    my_parameters_int(&parameters, "limit_rows", limit == 0 ? INT64_MAX : (int64_t)limit);
    if (filter->after == NULL) {
        my_parameters_null(&parameters, "after");
    } else {
        my_parameters_int(&parameters, "after", *filter->after);
    }
    return my_admin_ask(admin, sql_held_list, &parameters, &rows, reterr) &&
           read_messages(rows, ret_messages, reterr);
}

/* A list as long as there are rows; the caller fills it. */
static struct admin_ids
room_for_ids(MYSQL_RES *rows)
{
    const size_t count = mysql_num_rows(rows);
    return (struct admin_ids){.items = memory_array(count, sizeof(int64_t)), .count = count};
}

bool
my_admin_held_count(struct admin *admin, const struct admin_filter *filter,
                    struct admin_counts *ret_counts, struct admin_ids *ret_ids,
                    struct error *reterr)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    filter_by_ids(&parameters, filter);
    if (!my_admin_ask(admin, sql_held_count, &parameters, &rows, reterr)) {
        return false;
    }
    *ret_ids = room_for_ids(rows);
    *ret_counts = (struct admin_counts){0};
    for (size_t i = 0; i < ret_ids->count; i++) {
        const MYSQL_ROW row = mysql_fetch_row(rows);
        ret_ids->items[i] = my_value_int(row[0]);
        my_admin_count(ret_counts, row[1]);
    }
    mysql_free_result(rows);
    return true;
}

/* Returns the first column of all rows, and frees the rows. */
static struct admin_ids
take_ids(MYSQL_RES *rows)
{
    const struct admin_ids ids = room_for_ids(rows);
    for (size_t i = 0; i < ids.count; i++) {
        ids.items[i] = my_value_int(mysql_fetch_row(rows)[0]);
    }
    mysql_free_result(rows);
    return ids;
}

bool
my_admin_held_reasons(struct admin *admin, struct held_reasons *ret_reasons, struct error *reterr)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "most", HELD_REASON_MESSAGES);
    my_parameters_int(&parameters, "size", HELD_REASON_BYTES);
    if (!my_admin_ask(admin, sql_held_reasons, &parameters, &rows, reterr)) {
        return false;
    }
    *ret_reasons = (struct held_reasons){.dead = {0}};
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        uint64_t *const counts = my_value_bool(row[0]) ? ret_reasons->dead : ret_reasons->retrying;
        counts[held_reason_of(row[1])] += (uint64_t)my_value_int(row[2]);
    }
    mysql_free_result(rows);
    return true;
}

bool
my_admin_held_find(struct admin *admin, const struct admin_name *name, struct admin_ids *ret_ids,
                   struct error *reterr)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    my_admin_name(&parameters, name);
    if (!my_admin_ask(admin, sql_held_find, &parameters, &rows, reterr)) {
        return false;
    }
    *ret_ids = take_ids(rows);
    return true;
}

/* The message that holds the key back, as a list of one or none. */
static bool
find_head(struct admin *admin, const char *key, struct admin_messages *ret_head,
          struct error *reterr)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "of_key", key);
    if (!my_admin_ask(admin, sql_held_head, &parameters, &rows, reterr)) {
        return false;
    }
    const struct admin_ids ids = take_ids(rows);
    const struct admin_filter filter = {.ids = &ids};
    const bool good = my_admin_held_list(admin, &filter, 1, false, ret_head, reterr);
    memory_free(ids.items);
    return good;
}

bool
my_admin_held_place(struct admin *admin, const char *key, int64_t id, struct admin_place *ret_place,
                    struct error *reterr)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "of_key", key);
    my_parameters_int(&parameters, "id", id);
    if (!my_admin_ask(admin, sql_held_waiting, &parameters, &rows, reterr)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    struct admin_place place = {
        .waiting = (uint64_t)my_value_int(row[0]),
        .before = (uint64_t)my_value_int(row[1]),
    };
    mysql_free_result(rows);
    if (!find_head(admin, key, &place.head, reterr)) {
        return false;
    }
    *ret_place = place;
    return true;
}

bool
my_admin_held_acts(struct admin *admin, const struct admin_name *name, struct admin_acts *ret_acts,
                   struct error *reterr)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    my_admin_name(&parameters, name);
    if (!my_admin_ask(admin, sql_held_acts, &parameters, &rows, reterr)) {
        return false;
    }
    const size_t count = mysql_num_rows(rows);
    *ret_acts = (struct admin_acts){
        .acts = memory_array(count, sizeof(*ret_acts->acts)),
        .count = count,
        .rows = my_admin_own(rows),
    };
    for (size_t i = 0; i < count; i++) {
        const MYSQL_ROW row = mysql_fetch_row(rows);
        ret_acts->acts[i] = (struct admin_act){
            .at_us = my_admin_int(row[0], ADMIN_NO_TIME),
            .who = row[1],
            .what = row[2],
            .state = row[3],
            .held_id = my_value_int(row[4]),
            .message_id = row[5],
            .seen = my_value_bool(row[6]),
        };
    }
    return true;
}
