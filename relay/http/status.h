/* relay/http/status.h - the document that the status page looks at every second: of each source what its worker shows on
 * the board and what its database says, and the last events. */
#ifndef RELAY_HTTP_STATUS_H
#define RELAY_HTTP_STATUS_H

#include <jansson.h>

#include "relay/api/asker.h"
#include "relay/daemon/board.h"

/* For json_decref. Waits for databases, but only for a moment. after: of the events only those with higher numbers. */
json_t *status_document(struct board *board, struct api_askers *askers, uint64_t after);

#endif
