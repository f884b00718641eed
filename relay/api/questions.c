#include "relay/api/questions.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "relay/api/act.h"
#include "relay/api/explain.h"
#include "relay/api/filter.h"
#include "relay/api/held.h"
#include "relay/api/json.h"
#include "relay/api/status.h"
#include "relay/ports/admin_status.h"

/* Ten pages that look once a second cost one query a second. */
#define FRESH_US CLOCK_S_US
/* An act that is asked for again within this time is not done again. */
#define ACT_FRESH_US (600 * CLOCK_S_US)

#define LIMIT_USUAL 50

static bool
answer_status(const struct source_config *source, struct admin *admin, const json_t *parameters,
              json_t **ret_document, struct error *reterr)
{
    struct admin_status status;
    (void)parameters; /* it has none */
    if (!admin_status_get(admin, &status, reterr)) {
        return false;
    }
    *ret_document = api_status_json(source->name, &status);
    admin_status_free(&status);
    return true;
}

/* ---- held messages -------------------------------------------------------------------------------------- */

static json_t *
page_json(const struct source_config *source, const struct admin_messages *page, uint64_t limit)
{
    json_t *const object = json_object();
    json_t *const messages = json_array();
    const bool more = page->count > 0 && (page->cut || page->count == limit);
    for (size_t i = 0; i < page->count; i++) {
        api_json_append(messages, api_held_json(source->name, &page->messages[i]));
    }
    api_json_put(object, "messages", messages);
    api_json_put(object, "more", json_boolean(more));
    if (page->count > 0) {
        api_json_put(object, "after", json_integer(page->messages[page->count - 1].id));
    }
    return object;
}

static bool
put_matching(json_t *object, struct admin *admin, const struct admin_filter *filter,
             struct error *reterr)
{
    struct admin_counts counts;
    struct admin_ids ids;
    struct admin_filter all = *filter;
    all.after = NULL;
    if (!admin_held_count(admin, &all, &counts, &ids, reterr)) {
        return false;
    }
    memory_free(ids.items);
    api_json_put(object, "matching", api_held_json_counts(&counts));
    return true;
}

static bool
answer_held_list(const struct source_config *source, struct admin *admin, const json_t *parameters,
                 json_t **ret_document, struct error *reterr)
{
    struct admin_filter filter;
    struct admin_messages page;
    const json_t *const given = json_object_get(parameters, "limit");
    const json_t *const after = json_object_get(parameters, "after");
    const int64_t after_id = json_integer_value(after);
    const uint64_t limit = given == NULL ? LIMIT_USUAL : (uint64_t)json_integer_value(given);
    api_filter(parameters, &filter);
    filter.after = after == NULL ? NULL : &after_id;
    if (!admin_held_list(admin, &filter, limit, false, &page, reterr)) {
        return false;
    }
    json_t *const object = page_json(source, &page, limit);
    admin_messages_free(&page);
    if (json_is_true(json_object_get(parameters, "count")) &&
        !put_matching(object, admin, &filter, reterr)) {
        json_decref(object);
        return false;
    }
    *ret_document = object;
    return true;
}

static bool
append_whole(const struct source_config *source, struct admin *admin,
             const struct admin_message *message, json_t *array, struct error *reterr)
{
    struct api_held whole = {
        .source = source->name, .message = message, .payload_max = API_PAYLOAD_MAX};
    const bool good = api_held_complete(admin, &whole, reterr);
    if (good) {
        api_json_append(array, api_held_json_whole(&whole));
    }
    api_held_done(&whole);
    return good;
}

static bool
answer_held_show(const struct source_config *source, struct admin *admin, const json_t *parameters,
                 json_t **ret_document, struct error *reterr)
{
    struct admin_name name;
    struct admin_ids ids;
    struct admin_messages found;
    if (!api_name(parameters, &name, reterr) || !admin_held_find(admin, &name, &ids, reterr)) {
        return false;
    }
    const struct admin_filter filter = {.ids = &ids};
    bool good = admin_held_list(admin, &filter, 0, true, &found, reterr);
    memory_free(ids.items);
    if (!good) {
        return false;
    }
    json_t *const array = json_array();
    for (size_t i = 0; i < found.count && good; i++) {
        good = append_whole(source, admin, &found.messages[i], array, reterr);
    }
    admin_messages_free(&found);
    *ret_document = json_object();
    api_json_put(*ret_document, "messages", array);
    if (!good) {
        json_decref(*ret_document);
    }
    return good;
}

static bool
answer_explain(const struct source_config *source, struct admin *admin, const json_t *parameters,
               json_t **ret_document, struct error *reterr)
{
    struct admin_name name;
    bool known = false;
    json_t *const stories = json_array();
    if (!api_name(parameters, &name, reterr) ||
        !api_explain(source, admin, &name, stories, &known, reterr)) {
        json_decref(stories);
        return false;
    }
    *ret_document = json_object();
    api_json_put(*ret_document, "stories", stories);
    api_json_put(*ret_document, "known", json_boolean(known));
    return true;
}

/* ---- parameters from outside ---------------------------------------------------------------------------- */

/* A number that may be written as a text, as in a query. */
static bool
check_number(json_t *parameters, const char *name, uint64_t min, uint64_t max, struct error *reterr)
{
    const json_t *const given = json_object_get(parameters, name);
    uint64_t number = 0;
    bool good = true;
    if (given == NULL) {
        return true;
    }
    if (json_is_integer(given)) {
        good = json_integer_value(given) >= 0;
        number = (uint64_t)json_integer_value(given);
    } else {
        good = json_is_string(given) && text_parse_number(json_string_value(given), &number);
    }
    if (!good || number < min || number > max) {
        return error_set(reterr, ERROR_CONFIG, "%s: expected a whole number from %llu to %llu",
                         name, (unsigned long long)min, (unsigned long long)max);
    }
    api_json_put(parameters, name, json_integer((json_int_t)number));
    return true;
}

bool
api_check_held_list(json_t *parameters, struct error *reterr)
{
    const json_t *const count = json_object_get(parameters, "count");
    if (!api_filter_check(parameters, reterr) ||
        !check_number(parameters, "after", 0, INT64_MAX, reterr) ||
        !check_number(parameters, "limit", 1, API_LIMIT_MAX, reterr)) {
        return false;
    }
    if (json_is_string(count)) {
        api_json_put(parameters, "count",
                     json_boolean(strcmp(json_string_value(count), "true") == 0));
    }
    return true;
}

bool
api_check_id(json_t *parameters, struct error *reterr)
{
    struct admin_name name; /* only to see whether it is one */
    return api_name(parameters, &name, reterr);
}

static bool
check_ids(const json_t *ids, struct error *reterr)
{
    size_t i;
    json_t *id;
    if (!json_is_array(ids) || json_array_size(ids) == 0 || json_array_size(ids) > API_IDS_MAX) {
        return error_set(reterr, ERROR_CONFIG, "ids: expected an array of 1 to %d ids of rows",
                         API_IDS_MAX);
    }
    json_array_foreach(ids, i, id)
    {
        if (!json_is_integer(id)) {
            return error_set(reterr, ERROR_CONFIG, "ids: expected whole numbers, the ids of rows");
        }
    }
    return true;
}

bool
api_check_act(json_t *parameters, struct error *reterr)
{
    const json_t *const ids = json_object_get(parameters, "ids");
    const json_t *const filter = json_object_get(parameters, "filter");
    const json_t *const request = json_object_get(parameters, "request");
    if ((ids == NULL) == (filter == NULL)) {
        return error_set(reterr, ERROR_CONFIG,
                         "which messages? Give either \"ids\", or \"filter\" with \"count\"");
    }
    if (request != NULL && !json_is_string(request)) {
        return error_set(reterr, ERROR_CONFIG,
                         "request: expected a text, another one for each act");
    }
    if (ids != NULL) {
        return check_ids(ids, reterr);
    }
    if (!json_is_object(filter)) {
        return error_set(reterr, ERROR_CONFIG, "filter: expected an object");
    }
    if (!json_is_integer(json_object_get(parameters, "count"))) {
        return error_set(
            reterr, ERROR_CONFIG,
            "count: say how many messages the filter must match, so that no others are "
            "meant");
    }
    return api_filter_check(filter, reterr);
}

/* ---- the table ------------------------------------------------------------------------------------------ */

const struct api_question api_question_status = {
    .name = "status",
    .answer = answer_status,
    .fresh_us = FRESH_US,
};

const struct api_question api_question_held_list = {
    .name = "held",
    .answer = answer_held_list,
    .fresh_us = FRESH_US,
};

const struct api_question api_question_held_show = {
    .name = "message",
    .answer = answer_held_show,
    .fresh_us = FRESH_US,
};

const struct api_question api_question_explain = {
    .name = "explain",
    .answer = answer_explain,
    .fresh_us = FRESH_US,
};

const struct api_question api_question_held_retry = {
    .name = "retry",
    .answer = api_act_retry,
    .fresh_us = ACT_FRESH_US,
    .act = true,
};

const struct api_question api_question_held_discard = {
    .name = "discard",
    .answer = api_act_discard,
    .fresh_us = ACT_FRESH_US,
    .act = true,
};
