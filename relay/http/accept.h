/* relay/http/accept.h - which form of the metrics a client takes. */
#ifndef RELAY_HTTP_ACCEPT_H
#define RELAY_HTTP_ACCEPT_H

#include <stdbool.h>

/* Whether the client's Accept asks for OpenMetrics by name, and not less than for plain text. NULL, "*" and whatever
 * cannot be understood: no, since the older form is read by everything. */
bool accept_takes_openmetrics(const char *accept);

#endif
