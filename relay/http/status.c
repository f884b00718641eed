#include "relay/http/status.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/memory.h"
#include "relay/api/json.h"
#include "relay/api/questions.h"
#include "relay/daemon/recent.h"

/* A page that looks every second must not wait longer for a database. */
#define PATIENCE_US (400 * CLOCK_MS_US)
/* A database that does not answer for so long is told. */
#define SILENCE_US (3 * CLOCK_S_US)
/* A worker shows its figures once a second while they change: an older rate has become 0. */
#define RATE_US (2500 * CLOCK_MS_US)

static json_t *
seconds(uint64_t us)
{
    return json_real((double)us / 1e6);
}

static json_t *
number(uint64_t count)
{
    return json_integer((json_int_t)count);
}

/* ---- what the worker shows ------------------------------------------------------------------------------ */

/* For how long the source has not worked. */
static json_t *
stopped_for(const struct board_view *view, uint64_t now_us)
{
    const bool away = view->state == BOARD_LOST || view->state == BOARD_STARTING;
    const uint64_t since_us = away ? view->state_since_us : view->pause_since_us;
    const bool stops = away || (view->state == BOARD_OWNED && view->pause != PAUSE_NONE);
    return stops && since_us > 0 && now_us >= since_us ? seconds(now_us - since_us) : json_null();
}

/* How many messages took how long, as latency_bounds_us has it. */
static json_t *
counts_json(const struct histogram *histogram)
{
    json_t *const array = json_array();
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        api_json_append(array, number(histogram->counts[i]));
    }
    return array;
}

static json_t *
bounds_json(void)
{
    json_t *const array = json_array();
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        api_json_append(array, number(histogram_bound_us(i)));
    }
    return array;
}

/* At which host of the broker each connection is; null: at none. */
static json_t *
hosts_json(const struct board_view *view)
{
    json_t *const array = json_array();
    for (uint32_t i = 0; i < view->lanes; i++) {
        const bool connected = view->lane_hosts[i][0] != '\0';
        api_json_append(array, connected ? api_json_text(view->lane_hosts[i]) : json_null());
    }
    return array;
}

static void
put_figures(json_t *live, const struct board_view *view, uint64_t now_us)
{
    const bool old = now_us > view->told_us + RATE_US;
    api_json_put(live, "rate", json_real(old ? 0 : view->rate));
    api_json_put(live, "queued", number(view->counts.queued));
    api_json_put(live, "in_flight", number(view->counts.in_flight));
    api_json_put(live, "published", number(view->counts.published));
    api_json_put(live, "confirmed", number(view->counts.confirmed));
    api_json_put(live, "refused", number(view->counts.refused));
    api_json_put(live, "delivery", counts_json(&view->latency.delivery));
}

static json_t *
live_json(const struct board_view *view, uint64_t now_us)
{
    if (view == NULL) {
        return json_null();
    }
    json_t *const live = json_object();
    api_json_put(live, "state", json_string(board_state_word(view->state)));
    api_json_put(live, "state_reason", api_json_text(view->state_reason));
    api_json_put(live, "stuck", json_boolean(view->stuck));
    api_json_put(live, "draining", json_boolean(view->draining));
    api_json_put(live, "pause", json_string(board_pause_word(view->pause)));
    api_json_put(live, "pause_reason", api_json_text(view->pause_reason));
    api_json_put(live, "limited", json_boolean(view->counts.limited));
    api_json_put(live, "for_s", stopped_for(view, now_us));
    api_json_put(live, "tailing", json_boolean(view->counts.tailing));
    api_json_put(live, "not_tailing_reason", api_json_text(view->not_tailing_reason));
    api_json_put(live, "broker_hosts", hosts_json(view));
    put_figures(live, view, now_us);
    return live;
}

/* ---- sources -------------------------------------------------------------------------------------------- */

static const struct board_view *
view_of(const struct board_view *views, size_t count, const char *source)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(views[i].source, source) == 0) {
            return &views[i];
        }
    }
    return NULL;
}

/* A database that takes a moment longer than usual is no news. */
static bool
is_silent(const struct api_answer *answer)
{
    const bool moment = answer->waiting_us > 0 && answer->waiting_us < SILENCE_US;
    return !answer->current && !(moment && answer->document != NULL);
}

static void
put_database(json_t *object, const struct api_answer *answer)
{
    const bool known = answer->document != NULL;
    api_json_put(object, "status", known ? answer->document : json_null());
    api_json_put(object, "status_age_s", known ? seconds(answer->age_us) : json_null());
    api_json_put(object, "error",
                 is_silent(answer) ? api_json_text(answer->error.text) : json_null());
}

static json_t *
source_json(const struct source_config *source, const struct board_view *view,
            const struct api_answer *answer)
{
    json_t *const object = json_object();
    api_json_put(object, "source", json_string(source->name));
    api_json_put(object, "kind", json_string(source->kind->name));
    api_json_put(object, "broker", json_string(source->broker->name));
    api_json_put(object, "live", live_json(view, clock_monotonic_us()));
    put_database(object, answer);
    return object;
}

static json_t *
sources_json(struct config *config, struct api_askers *askers, const struct board_view *views,
             size_t view_count)
{
    json_t *const array = json_array();
    json_t *const nothing = json_object();
    struct api_answer *const answers = memory_array(config->source_count + 1, sizeof(*answers));
    api_ask_all(askers, config, NULL, &api_question_status, nothing, PATIENCE_US, answers);
    for (size_t i = 0; i < config->source_count; i++) {
        const struct source_config *const source = &config->sources[i];
        const struct board_view *const view = view_of(views, view_count, source->name);
        api_json_append(array, source_json(source, view, &answers[i]));
    }
    memory_free(answers);
    json_decref(nothing);
    return array;
}

/* ---- events --------------------------------------------------------------------------------------------- */

static json_t *
event_json(const struct recent_event *event)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    json_t *const object = json_object();
    api_json_put(object, "number", number(event->number));
    api_json_put(object, "at", api_json_time((int64_t)event->wall_us));
    api_json_put(object, "level", json_string(levels[event->level]));
    api_json_put(object, "event", api_json_text(event->event));
    api_json_put(object, "source", api_json_text(event->source));
    api_json_put(object, "words", api_json_text(event->words));
    api_json_put(object, "error", api_json_text(event->error));
    return object;
}

static json_t *
events_json(uint64_t after)
{
    json_t *const array = json_array();
    struct recent_event *const events = memory_array(RECENT_MAX, sizeof(*events));
    const size_t count = recent_get(after, events);
    for (size_t i = 0; i < count; i++) {
        api_json_append(array, event_json(&events[i]));
    }
    memory_free(events);
    return array;
}

/* ---- templates of sources ------------------------------------------------------------------------------- */

static json_t *
template_json(const struct board_template *template, uint64_t now_us)
{
    json_t *const object = json_object();
    const bool answered = template->answered_us > 0;
    api_json_put(object, "template", json_string(template->name));
    api_json_put(object, "tenants", number(template->tenants));
    api_json_put(object, "refused", number(template->refused));
    api_json_put(object, "emptied", json_boolean(template->emptied));
    api_json_put(object, "answer_age_s",
                 answered ? seconds(now_us - template->answered_us) : json_null());
    api_json_put(object, "error",
                 template->error[0] == '\0' ? json_null() : api_json_text(template->error));
    return object;
}

static json_t *
templates_json(struct board *board)
{
    struct board_template *templates;
    json_t *const array = json_array();
    const size_t count = board_templates(board, &templates);
    const uint64_t now_us = clock_monotonic_us();
    for (size_t i = 0; i < count; i++) {
        api_json_append(array, template_json(&templates[i], now_us));
    }
    memory_free(templates);
    return array;
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static void
put_process(json_t *document, const struct config *config)
{
    char host[256] = "?";
    (void)gethostname(host, sizeof(host) - 1); /* "?" if it has no name that fits */
    api_json_put(document, "host", api_json_text(host));
    api_json_put(document, "pid", json_integer(getpid()));
    api_json_put(document, "version", json_string(RELAY_VERSION));
    api_json_put(document, "may_change",
                 json_boolean(config->http != NULL && config->http->token_file != NULL));
}

json_t *
status_document(struct board *board, struct api_askers *askers, uint64_t after)
{
    struct config *const config = board_config(board);
    struct board_view *views;
    json_t *const document = json_object();
    const size_t count = board_read(board, clock_monotonic_us(), &views);
    put_process(document, config);
    api_json_put(document, "latency_bounds_us", bounds_json());
    api_json_put(document, "sources", sources_json(config, askers, views, count));
    api_json_put(document, "templates", templates_json(board));
    api_json_put(document, "events", events_json(after));
    api_json_put(document, "now", api_json_time((int64_t)clock_wall_us()));
    memory_free(views);
    config_free(config);
    return document;
}
