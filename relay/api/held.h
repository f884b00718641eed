/* relay/api/held.h - held messages as JSON. */
#ifndef RELAY_API_HELD_H
#define RELAY_API_HELD_H

#include <jansson.h>

#include "relay/ports/admin_held.h"

/* "dead", "dead, skipped" */
const char *api_held_state(const struct admin_message *message);

/* One element of `outbox-relay held list --json`, for json_decref. source: its name. */
json_t *api_held_json(const char *source, const struct admin_message *message);
json_t *api_held_json_counts(const struct admin_counts *counts);
json_t *api_held_json_acts(const struct admin_acts *acts);

/* All about one message, which is a whole one. The caller sets the first three; api_held_complete asks for the rest, which
 * api_held_done frees, after a failure too. */
struct api_held {
    const char *source;
    const struct admin_message *message;
    size_t payload_max; /* so much of the payload is shown; 0: all */
    bool has_place;
    struct admin_place place;
    struct admin_acts acts;
};
bool api_held_complete(struct admin *admin, struct api_held *whole,
                       struct error *reterr) MUST_CHECK;
void api_held_done(struct api_held *whole);

/* The element of `outbox-relay held show --json`. */
json_t *api_held_json_whole(const struct api_held *whole);

#endif
