/* relay/http/operators.h - what operators see and do over HTTP, as JSON: the handlers of the paths below /api/, for
 * routes.c. Errors are objects with a member "error", for people. */
#ifndef RELAY_HTTP_OPERATORS_H
#define RELAY_HTTP_OPERATORS_H

#include "relay/http/route.h"

/* GET: they ask databases. */
void operators_status(const struct http_context *context, const struct http_request *request,
                      struct http_answer *answer);
void operators_held(const struct http_context *context, const struct http_request *request,
                    struct http_answer *answer);
void operators_message(const struct http_context *context, const struct http_request *request,
                       struct http_answer *answer);
void operators_explain(const struct http_context *context, const struct http_request *request,
                       struct http_answer *answer);

/* POST: they change something. */
void operators_retry(const struct http_context *context, const struct http_request *request,
                     struct http_answer *answer);
void operators_discard(const struct http_context *context, const struct http_request *request,
                       struct http_answer *answer);

#endif
