#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/api/json.h"
#include "relay/ports/admin.h"

static void
expect(json_t *json, const char *expected)
{
    char *const text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    cr_assert_not_null(text);
    cr_assert_str_eq(text, expected);
    free(text);
    json_decref(json);
}

Test(api_json, texts)
{
    expect(api_json_text(NULL), "null");
    expect(api_json_text(""), "\"\"");
    expect(api_json_text("größe\n"), "\"größe\\n\"");
    expect(api_json_text("a\xff\x1b"), "\"a\\\\xff\\\\x1b\""); /* not UTF-8 */
}

Test(api_json, times)
{
    expect(api_json_time(ADMIN_NO_TIME), "null");
    expect(api_json_time(INT64_C(1795000000123456)), "\"2026-11-18T11:06:40.123Z\"");
}

Test(api_json, what_is_put_is_taken_over)
{
    json_t *const object = json_object();
    json_t *const array = json_array();
    api_json_append(array, json_integer(1));
    api_json_put(object, "a", array);
    expect(object, "{\"a\":[1]}");
}
