/* relay/api/json.h - making JSON. Out of memory ends the process (base/memory.h). */
#ifndef RELAY_API_JSON_H
#define RELAY_API_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The object or array takes the value over. */
void api_json_put(json_t *object, const char *name, json_t *value);
void api_json_append(json_t *array, json_t *value);

/* null for NULL. Bytes that are not UTF-8, which JSON cannot have, are written as by api_text_clean: "\xff". */
json_t *api_json_text(const char *text);

/* Like api_text_utc; null for ADMIN_NO_TIME. */
json_t *api_json_time(int64_t wall_us);

/* Ends the process unless `good`: what a function of jansson returned that fails only without memory. */
void api_json_must(bool good);

#endif
