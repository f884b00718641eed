/* relay/api/explain.h - where a message is, and why it has not gone, in sentences and as JSON. */
#ifndef RELAY_API_EXPLAIN_H
#define RELAY_API_EXPLAIN_H

#include <jansson.h>

#include "relay/config/config.h"
#include "relay/ports/admin.h"

/* Appends to `stories` the elements of `outbox-relay explain --json` for all that this database knows of the message; if
 * that is nothing, one that says so, with *ret_known false. False with *reterr if it could not be asked. */
bool api_explain(const struct source_config *source, struct admin *admin,
                 const struct admin_name *name, json_t *stories, bool *ret_known,
                 struct error *reterr) MUST_CHECK;

/* If one database knows the message, the others' "unknown" is dropped. */
void api_explain_keep_known(json_t *stories);

#endif
