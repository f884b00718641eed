#include "relay/api/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "relay/api/text.h"
#include "relay/ports/admin.h"

/* Texts are UTF-8 here (api_json_text), so only memory can be missing. */
void
api_json_must(bool good)
{
    if (!good) {
        (void)fputs("outbox-relay: out of memory\n", stderr); /* nowhere else to say it */
        abort();
    }
}

void
api_json_put(json_t *object, const char *name, json_t *value)
{
    api_json_must(json_object_set_new(object, name, value) == 0);
}

void
api_json_append(json_t *array, json_t *value)
{
    api_json_must(json_array_append_new(array, value) == 0);
}

json_t *
api_json_text(const char *text)
{
    if (text == NULL || utf8_is_text(text, strlen(text))) {
        return text == NULL ? json_null() : json_string(text);
    }
    char *const clean = api_text_clean(text);
    json_t *const json = json_string(clean);
    memory_free(clean);
    return json;
}

json_t *
api_json_time(int64_t wall_us)
{
    char text[API_TIME_BYTES];
    if (wall_us == ADMIN_NO_TIME) {
        return json_null();
    }
    api_text_utc(wall_us, text);
    return json_string(text);
}
