/* relay/cli/json.h - JSON (relay/api) as the output of a command. */
#ifndef RELAY_CLI_JSON_H
#define RELAY_CLI_JSON_H

#include <jansson.h>

#include "relay/cli/cli.h"

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
