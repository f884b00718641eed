#include <stdio.h>

#include "base/clock.h"
#include "relay/daemon/worker_private.h"

#define SHOW_US CLOCK_S_US

void
worker_view_change(struct worker *worker)
{
    worker->view_changed = true;
}

void
worker_view_state(struct worker *worker, enum board_state state, const char *reason,
                  uint64_t now_us)
{
    struct board_view *const view = &worker->view;
    /* One that was never there has lost nothing. */
    const bool starting = state == BOARD_LOST && view->state == BOARD_STARTING;
    const enum board_state next = starting ? BOARD_STARTING : state;
    (void)snprintf(view->state_reason, sizeof(view->state_reason), "%s", reason); /* cut is fine */
    view->ownerships += next == BOARD_OWNED ? 1 : 0;
    view->database_losses += next == BOARD_LOST && view->state != BOARD_LOST ? 1 : 0;
    view->state_since_us = next == view->state ? view->state_since_us : now_us;
    view->state = next;
    worker_view_change(worker);
}

void
worker_view_blocked(struct worker *worker, uint64_t now_us)
{
    struct pipeline_counts counts;
    pipeline_counts(worker->pipeline, &counts);
    if (worker->blocked_since_us > 0) {
        worker->view.blocked_us += now_us - worker->blocked_since_us;
    }
    worker->blocked_since_us = counts.blocked ? now_us : 0;
}

static void
set_pause(struct board_view *view, const struct source_status *status, enum pipeline_pause pause,
          uint64_t now_us)
{
    const char *const reason = status->paused_reason == NULL ? "" : status->paused_reason;
    (void)snprintf(view->pause_reason, sizeof(view->pause_reason), "%s", reason); /* cut is fine */
    view->pause_since_us = pause == view->pause ? view->pause_since_us : now_us;
    view->pause = pause;
}

static double
rate_of(const struct board_view *before, const struct pipeline_counts *counts, uint64_t now_us)
{
    const uint64_t elapsed_us = now_us - before->told_us;
    const uint64_t confirmed = counts->confirmed - before->counts.confirmed;
    return elapsed_us == 0 || before->told_us == 0 ? 0
                                                   : (double)confirmed * 1e6 / (double)elapsed_us;
}

static void
show_hosts(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->config->publishers; i++) {
        const bool connected = worker->spread.at[i] < worker->spread.hosts;
        (void)snprintf(worker->view.lane_hosts[i], BOARD_HOST_BYTES, "%s",
                       connected ? broker_lane_peer(worker->lanes[i]) : ""); /* cut is fine */
    }
}

static void
show(struct worker *worker, uint64_t now_us)
{
    struct board_view *const view = &worker->view;
    struct source_status status;
    struct pipeline_counts counts;
    worker_view_blocked(worker, now_us);
    pipeline_wall(worker->pipeline, clock_wall_us() - now_us);
    pipeline_status(worker->pipeline, now_us, &status);
    pipeline_counts(worker->pipeline, &counts);
    set_pause(view, &status, pipeline_pause(worker->pipeline), now_us);
    (void)snprintf(view->not_tailing_reason, sizeof(view->not_tailing_reason), "%s",
                   status.not_tailing_reason == NULL ? ""
                                                     : status.not_tailing_reason); /* cut is fine */
    view->rate = rate_of(view, &counts, now_us);
    view->oldest_in_flight_us = counts.in_flight == 0 ? 0 : now_us - status.in_flight_for_us;
    view->draining = worker->draining;
    view->lanes = worker->config->publishers;
    show_hosts(worker);
    view->counts = counts;
    view->latency = *pipeline_latency(worker->pipeline);
    view->told_us = now_us;
    worker->view_changed = false;
    board_show(worker->board, worker->entry, view);
}

/* Whether numbers have changed since they were shown. */
static bool
has_moved(const struct worker *worker)
{
    const struct pipeline_counts *const shown = &worker->view.counts;
    struct pipeline_counts counts;
    pipeline_counts(worker->pipeline, &counts);
    return counts.published != shown->published || counts.confirmed != shown->confirmed ||
           counts.refused != shown->refused || counts.settled != shown->settled ||
           counts.swept != shown->swept ||
           counts.repeated_connection != shown->repeated_connection ||
           counts.repeated_ownership != shown->repeated_ownership ||
           counts.limited_us != shown->limited_us || counts.queued != shown->queued ||
           counts.in_flight != shown->in_flight || counts.unsettled != shown->unsettled ||
           counts.held != shown->held || counts.tailing != shown->tailing ||
           counts.log_read != shown->log_read || counts.lanes_ready != shown->lanes_ready ||
           pipeline_pause(worker->pipeline) != worker->view.pause;
}

void
worker_view_tell(struct worker *worker, uint64_t now_us)
{
    if (worker->view_changed || now_us >= worker->view.told_us + SHOW_US) {
        show(worker, now_us);
    }
}

uint64_t
worker_view_deadline_us(const struct worker *worker)
{
    return has_moved(worker) ? worker->view.told_us + SHOW_US : CLOCK_NEVER_US;
}
