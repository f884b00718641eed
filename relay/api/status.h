/* relay/api/status.h - how a source is doing, as JSON. */
#ifndef RELAY_API_STATUS_H
#define RELAY_API_STATUS_H

#include <jansson.h>

#include "relay/ports/admin_status.h"

/* One element of `outbox-relay status --json`, for json_decref. source: its name. */
json_t *api_status_json(const char *source, const struct admin_status *status);

#endif
