#include <criterion/criterion.h>

#include "relay/api/filter.h"
#include "relay/api/questions.h"

static json_t *
parsed(const char *text)
{
    json_t *const json = json_loads(text, JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(json, "%s", text);
    return json;
}

static void
expect(bool (*check)(json_t *, struct error *), const char *text, const char *words)
{
    json_t *const json = parsed(text);
    struct error error = {.text = ""};
    const bool good = check(json, &error);
    cr_assert_eq(good, words == NULL, "%s: %s", text, error.text);
    cr_assert(good || strstr(error.text, words) != NULL, "%s: %s", text, error.text);
    json_decref(json);
}

Test(api_filter, all_members)
{
    struct admin_filter filter;
    struct error error;
    json_t *const json = parsed("{\"state\":\"dead\",\"key\":\"k\",\"type\":\"t\",\"reason\":\"r\","
                                "\"older_than\":\"5m\",\"other\":1}");
    cr_assert(api_filter_check(json, &error));
    api_filter(json, &filter);
    cr_assert_str_eq(filter.state, "dead");
    cr_assert_str_eq(filter.key, "k");
    cr_assert_str_eq(filter.type, "t");
    cr_assert_str_eq(filter.reason, "r");
    cr_assert_eq(filter.older_than_us, 300000000);
    cr_assert_null(filter.ids);
    json_decref(json);
}

Test(api_filter, lists_from_outside)
{
    expect(api_check_held_list, "{}", NULL);
    expect(api_check_held_list, "{\"after\":\"7\",\"limit\":\"500\",\"count\":\"true\"}", NULL);
    expect(api_check_held_list, "{\"state\":\"dad\"}", "state: expected scheduled");
    expect(api_check_held_list, "{\"key\":\"a\\u0000b\"}", "key: expected a text");
    expect(api_check_held_list, "{\"older_than\":\"soon\"}", "older_than: expected");
    expect(api_check_held_list, "{\"limit\":\"0\"}", "limit: expected a whole number from 1");
    expect(api_check_held_list, "{\"limit\":\"501\"}", "limit: expected");
    expect(api_check_held_list, "{\"after\":-1}", "after: expected");
    expect(api_check_held_list, "{\"after\":\"9223372036854775808\"}", "after: expected");
}

Test(api_filter, names_from_outside)
{
    expect(api_check_id, "{\"id\":\"17\"}", NULL);
    expect(api_check_id, "{\"id\":\"00000000-0000-7000-8000-000000000001\"}", NULL);
    expect(api_check_id, "{\"id\":\"x\"}", "id: expected");
    expect(api_check_id, "{\"id\":17}", "id: expected");
    expect(api_check_id, "{}", "id: expected");
}

Test(api_filter, acts_from_outside)
{
    expect(api_check_act, "{\"ids\":[1,2],\"request\":\"r\"}", NULL);
    expect(api_check_act, "{\"filter\":{},\"count\":2}", NULL);
    expect(api_check_act, "{}", "which messages");
    expect(api_check_act, "{\"ids\":[1],\"filter\":{}}", "which messages");
    expect(api_check_act, "{\"ids\":[]}", "ids: expected an array");
    expect(api_check_act, "{\"ids\":[\"1\"]}", "ids: expected whole numbers");
    expect(api_check_act, "{\"filter\":{}}", "count: say how many");
    expect(api_check_act, "{\"filter\":[],\"count\":1}", "filter: expected an object");
    expect(api_check_act, "{\"filter\":{\"state\":\"x\"},\"count\":1}", "state: expected");
    expect(api_check_act, "{\"ids\":[1],\"request\":1}", "request: expected");
}
