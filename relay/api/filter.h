/* relay/api/filter.h - which messages are meant, as a JSON object: for questions.h. */
#ifndef RELAY_API_FILTER_H
#define RELAY_API_FILTER_H

#include <jansson.h>

#include "relay/ports/admin_held.h"

/* "state", "key", "type", "reason", "older_than", each a text or missing; other members are not looked at. The filter
 * points into the object, which api_filter_check must have found good. */
bool api_filter_check(const json_t *object, struct error *reterr) MUST_CHECK;
void api_filter(const json_t *object, struct admin_filter *ret_filter);

/* "scheduled", "retrying", "waiting" or "dead" */
bool api_state_is_known(const char *state);

/* The message that "id" names; it points into the object. */
bool api_name(const json_t *object, struct admin_name *ret_name, struct error *reterr) MUST_CHECK;

#endif
