#include "relay/cli/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/api/json.h"

void
cli_json_stream_add(struct cli_json_stream *stream, json_t *element)
{
    api_json_must(element != NULL);
    char *const text = json_dumps(element, JSON_INDENT(2));
    api_json_must(text != NULL);
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
    api_json_must(document != NULL);
    const bool good = json_dumpf(document, stdout, JSON_INDENT(2)) == 0 &&
                      fputc('\n', stdout) != EOF && fflush(stdout) == 0;
    json_decref(document);
    return good ? CLI_DONE : CLI_FAILED;
}
