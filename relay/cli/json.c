#include "relay/cli/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "relay/cli/text.h"
#include "relay/ports/admin.h"

/* Texts are UTF-8 here (cli_json_text), so only memory can be missing. */
static void
must(bool good)
{
    if (!good) {
        (void)fputs("outbox-relay: out of memory\n", stderr); /* nowhere else to say it */
        abort();
    }
}

void
cli_json_put(json_t *object, const char *name, json_t *value)
{
    must(json_object_set_new(object, name, value) == 0);
}

void
cli_json_append(json_t *array, json_t *value)
{
    must(json_array_append_new(array, value) == 0);
}

json_t *
cli_json_text(const char *text)
{
    if (text == NULL || utf8_is_text(text, strlen(text))) {
        return text == NULL ? json_null() : json_string(text);
    }
    char *const clean = cli_text_clean(text);
    json_t *const json = json_string(clean);
    memory_free(clean);
    return json;
}

json_t *
cli_json_time(int64_t wall_us)
{
    char text[CLI_TIME_BYTES];
    if (wall_us == ADMIN_NO_TIME) {
        return json_null();
    }
    cli_text_utc(wall_us, text);
    return json_string(text);
}

void
cli_json_stream_add(struct cli_json_stream *stream, json_t *element)
{
    must(element != NULL);
    char *const text = json_dumps(element, JSON_INDENT(2));
    must(text != NULL);
    (void)fputs(stream->count == 0 ? "[" : ",", stdout); /* these are looked at in the end */
    for (const char *line = text; *line != '\0';) {
        const size_t size =
            strcspn(line, "\n"); /* Only between the parts, as in texts it is escaped. */
        (void)printf("\n  %.*s", (int)size, line);
        line += size + (line[size] == '\n' ? 1 : 0);
    }
    free(text);
    json_decref(element);
    stream->count++;
}

enum cli_exit
cli_json_stream_end(struct cli_json_stream *stream)
{
    (void)fputs(stream->count == 0 ? "[]\n" : "\n]\n", stdout); /* as above */
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

enum cli_exit
cli_json_print(json_t *document)
{
    must(document != NULL);
    const bool good = json_dumpf(document, stdout, JSON_INDENT(2)) == 0 &&
                      fputc('\n', stdout) != EOF && fflush(stdout) == 0;
    json_decref(document);
    return good ? CLI_DONE : CLI_FAILED;
}
