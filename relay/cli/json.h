/* relay/cli/json.h - output for programs. Out of memory ends the process (base/memory.h). */
#ifndef RELAY_CLI_JSON_H
#define RELAY_CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "relay/cli/cli.h"

/* The object or array takes the value over. */
void cli_json_put(json_t *object, const char *name, json_t *value);
void cli_json_append(json_t *array, json_t *value);

/* null for NULL. Bytes that are not UTF-8, which JSON cannot have, are written as by cli_text_clean: "\xff". */
json_t *cli_json_text(const char *text);

/* Like cli_text_utc; null for ADMIN_NO_TIME. */
json_t *cli_json_time(int64_t wall_us);

/* An array that is printed while it grows, by the rules of cli_json_print; each element is freed. The caller's struct
 * starts as {0}. */
struct cli_json_stream {
    size_t count;
};
void cli_json_stream_add(struct cli_json_stream *stream, json_t *element);
enum cli_exit cli_json_stream_end(struct cli_json_stream *stream);

/* Prints the whole document to stdout, and frees it. */
enum cli_exit cli_json_print(json_t *document);

#endif
