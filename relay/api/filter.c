#include "relay/api/filter.h"

#include <string.h>

#include "base/text.h"

bool
api_state_is_known(const char *state)
{
    static const char *const states[] = {"scheduled", "retrying", "waiting", "dead"};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(state, states[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* PostgreSQL and this program's C texts cannot have zero bytes. */
static bool
is_text(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

bool
api_filter_check(const json_t *object, struct error *reterr)
{
    static const char *const names[] = {"state", "key", "type", "reason", "older_than"};
    uint64_t duration_us;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *const value = json_object_get(object, names[i]);
        if (value != NULL && !is_text(value)) {
            return error_set(reterr, ERROR_CONFIG, "%s: expected a text", names[i]);
        }
    }
    const char *const state = json_string_value(json_object_get(object, "state"));
    const char *const older = json_string_value(json_object_get(object, "older_than"));
    if (state != NULL && !api_state_is_known(state)) {
        return error_set(reterr, ERROR_CONFIG,
                         "state: expected scheduled, retrying, waiting or dead");
    }
    return older == NULL || text_parse_duration(older, &duration_us) ||
           error_set(reterr, ERROR_CONFIG,
                     "older_than: expected a duration such as 30s, 5m, 2h, 1d");
}

void
api_filter(const json_t *object, struct admin_filter *ret_filter)
{
    const char *const older = json_string_value(json_object_get(object, "older_than"));
    *ret_filter = (struct admin_filter){
        .state = json_string_value(json_object_get(object, "state")),
        .key = json_string_value(json_object_get(object, "key")),
        .type = json_string_value(json_object_get(object, "type")),
        .reason = json_string_value(json_object_get(object, "reason")),
    };
    if (older != NULL && !text_parse_duration(older, &ret_filter->older_than_us)) {
        ret_filter->older_than_us = 0; /* was checked before */
    }
}

bool
api_name(const json_t *object, struct admin_name *ret_name, struct error *reterr)
{
    const json_t *const id = json_object_get(object, "id");
    return (is_text(id) && admin_name_parse(json_string_value(id), ret_name)) ||
           error_set(reterr, ERROR_CONFIG, "id: expected the id of a row or a message id");
}
