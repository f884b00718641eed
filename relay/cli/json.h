/* relay/cli/json.h - answers for programs. Memory that cannot be had ends the process (base/memory.h). */
#ifndef RELAY_CLI_JSON_H
#define RELAY_CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "relay/cli/cli.h"

/* `value` is the object's now. */
void cli_json_put(json_t *object, const char *name, json_t *value);
void cli_json_append(json_t *array, json_t *value);

/* null for NULL. What is no UTF-8, of which there is no JSON, as cli_text_clean shows it: "\xff". */
json_t *cli_json_text(const char *text);

/* As cli_text_utc; null for ADMIN_NO_TIME. */
json_t *cli_json_time(int64_t wall_us);

/* The whole document to stdout; frees it. */
/* An array that is printed as it grows, by cli_json_print's rules; each element is freed. The caller's struct begins as
 * {0}. */
struct cli_json_stream {
    size_t count;
};
void cli_json_stream_add(struct cli_json_stream *stream, json_t *element);
enum cli_exit cli_json_stream_end(struct cli_json_stream *stream);

enum cli_exit cli_json_print(json_t *document);

#endif
