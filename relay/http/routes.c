/* All paths that are answered. */
#include <stdint.h>

#include "base/clock.h"
#include "relay/http/accept.h"
#include "relay/http/health.h"
#include "relay/http/metrics.h"
#include "relay/http/operators.h"
#include "relay/http/route.h"
#include "relay/page/page.h"

static void
answer_metrics(const struct http_context *context, const struct http_request *request,
               struct http_answer *answer)
{
    const bool open = accept_takes_openmetrics(http_header(request, "Accept"));
    FILE *const stream = http_answer_begin(answer);
    metrics_tell(stream, context->board, context->facts, open, clock_monotonic_us());
    http_answer_end(answer, stream);
    answer->type = open ? METRICS_OPEN_TYPE : METRICS_TEXT_TYPE;
}

static void
answer_healthz(const struct http_context *context, const struct http_request *request,
               struct http_answer *answer)
{
    (void)request; /* has the shape of a handler */
    FILE *const stream = http_answer_begin(answer);
    answer->status = health_is_alive(stream, context->board, clock_monotonic_us()) ? 200 : 503;
    http_answer_end(answer, stream);
}

static void
answer_readyz(const struct http_context *context, const struct http_request *request,
              struct http_answer *answer)
{
    (void)request; /* as above */
    FILE *const stream = http_answer_begin(answer);
    answer->status = health_is_ready(stream, context->board, clock_monotonic_us()) ? 200 : 503;
    http_answer_end(answer, stream);
}

static void
answer_page(const struct http_context *context, const struct http_request *request,
            struct http_answer *answer)
{
    (void)context; /* as above */
    const struct page_file *const file = page_find(request->path);
    answer->type = file->type;
    answer->body = (char *)(uintptr_t)file->text; /* is not changed: it lasts */
    answer->size = file->size;
    answer->lasts = true;
}

const struct http_route http_routes[] = {
    {"GET", "/", 0, answer_page},
    {"GET", "/page.css", 0, answer_page},
    {"GET", "/page.js", 0, answer_page},
    {"GET", "/page.svg", 0, answer_page},
    {"GET", "/api/status", HTTP_ASKS, operators_status},
    {"GET", "/api/held", HTTP_ASKS, operators_held},
    {"GET", "/api/held/*", HTTP_ASKS, operators_message},
    {"POST", "/api/held/retry", HTTP_ASKS | HTTP_CHANGES, operators_retry},
    {"POST", "/api/held/discard", HTTP_ASKS | HTTP_CHANGES, operators_discard},
    {"GET", "/api/explain", HTTP_ASKS, operators_explain},
    {"GET", "/metrics", 0, answer_metrics},
    {"GET", "/healthz", 0, answer_healthz},
    {"GET", "/readyz", 0, answer_readyz},
    {0},
};
