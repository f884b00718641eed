/* The connections of the source spread over the broker's hosts (spread.h). A lane that should be at another host gets a second
 * connection there first, the spare. Once the spare has its channel, the core stops using the old connection, and when nothing
 * is in flight on it any more, they change places. The old one is then closed properly. */
#include "base/clock.h"
#include "base/random.h"
#include "relay/daemon/worker_private.h"

_Static_assert(BROKER_HOSTS_MAX == SPREAD_HOSTS_MAX, "each host of a URI has a place");
_Static_assert(PIPELINE_LANES_MAX == SPREAD_LANES_MAX, "and each lane");

/* How long a broker may take to agree that a connection is closed. */
#define CLOSE_WAIT_US CLOCK_S_US

void
worker_spread_init(struct worker *worker)
{
    const uint32_t hosts = broker_hosts(worker->config->broker);
    random_seed(&worker->spread_random, random_fresh_seed());
    const uint32_t start = (uint32_t)random_between(&worker->spread_random, 0, hosts - 1);
    spread_init(&worker->spread, hosts, worker->config->publishers + 1, start);
}

void
worker_spread_connect(struct worker *worker, uint32_t lane)
{
    broker_lane_begin_at(worker->lanes[lane], spread_choose(&worker->spread, lane), false);
}

/* ---- the spare ---------------------------------------------------------------------------------------------- */

static void
end_spare(struct worker *worker)
{
    if (worker->spare_state == SPARE_READY) {
        pipeline_lane_leave(worker->pipeline, worker->spare_lane, false);
    }
    broker_lane_free(worker->spare);
    worker->spare = NULL;
}

static void
note_failure(struct worker *worker, const char *why)
{
    log_debug("host_away", LOG_INT("lane", worker->spare_lane),
              LOG_STR("peer", broker_lane_peer(worker->spare)), LOG_STR("error", why));
    spread_missed(&worker->spread, broker_lane_host(worker->spare));
    end_spare(worker);
}

static void
begin_spare(struct worker *worker, uint32_t lane, uint32_t host, uint64_t now_us)
{
    struct error error;
    worker->spare = broker_lane_new(worker->config->broker, worker->config->name, &error);
    if (worker->spare == NULL) {
        return; /* certificates cannot be read just now; the next time it may be different */
    }
    worker->spare_lane = lane;
    worker->spare_state = SPARE_CONNECTING;
    broker_lane_begin_at(worker->spare, host, true);
    if (!broker_lane_connect(worker->spare, now_us, &error)) {
        note_failure(worker, error.text);
    }
}

/* Until a lane is the next to move. Sources that lost the same host do not all come back to it at the same moment. */
static void
wait_again(struct worker *worker, uint64_t now_us)
{
    const uint64_t interval_us = worker->config->broker->spread_interval_us;
    worker->spread_due_us =
        now_us + interval_us + random_between(&worker->spread_random, 0, interval_us / 2);
}

static void
take_event(struct worker *worker, const struct broker_lane_event *event, uint64_t now_us)
{
    if (worker->spare_state == SPARE_LEAVING) {
        if (event->error != NULL) {
            end_spare(worker); /* it is closed */
        }
    } else if (event->type == BROKER_LANE_CONNECTED) {
        broker_lane_open(worker->spare, now_us);
    } else if (event->type == BROKER_LANE_READY) {
        worker->spare_state = SPARE_READY;
        wait_again(worker, now_us);
        pipeline_lane_leave(worker->pipeline, worker->spare_lane, true);
    } else {
        /* It ended, or its host takes no messages now. */
        note_failure(worker, event->error != NULL ? event->error->text : event->text);
    }
}

static void
serve_spare(struct worker *worker, short revents, uint64_t now_us)
{
    struct broker_lane_event event;
    broker_lane_process(worker->spare, revents, now_us);
    while (worker->spare != NULL && broker_lane_next(worker->spare, &event)) {
        take_event(worker, &event, now_us);
    }
    if (worker->spare != NULL) {
        broker_lane_flush(worker->spare, now_us);
    }
    if (worker->spare != NULL && worker->spare_state == SPARE_LEAVING &&
        now_us >= worker->spare_until_us) {
        end_spare(worker);
    }
}

static bool
may_move(const struct worker *worker)
{
    return worker->spare == NULL && !worker->draining &&
           worker->config->broker->spread_interval_us > 0 &&
           spread_is_away(&worker->spread, worker->config->publishers);
}

void
worker_spread_serve(struct worker *worker, short revents, uint64_t now_us)
{
    uint32_t lane;
    uint32_t home;
    if (worker->spare != NULL) {
        serve_spare(worker, revents, now_us);
    }
    if (may_move(worker) && now_us >= worker->spread_due_us &&
        spread_next(&worker->spread, worker->config->publishers, &lane, &home)) {
        wait_again(worker, now_us);
        begin_spare(worker, lane, home, now_us);
    }
}

uint64_t
worker_spread_deadline_us(const struct worker *worker)
{
    if (worker->spare == NULL) {
        return may_move(worker) ? worker->spread_due_us : CLOCK_NEVER_US;
    }
    const uint64_t deadline_us = broker_lane_deadline_us(worker->spare);
    return worker->spare_state == SPARE_LEAVING
               ? clock_earlier_us(deadline_us, worker->spare_until_us)
               : deadline_us;
}

/* ---- what happens to a lane --------------------------------------------------------------------------------- */

void
worker_spread_arrived(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    spread_arrived(&worker->spread, lane, broker_lane_host(worker->lanes[lane]));
    if (may_move(worker)) {
        wait_again(worker, now_us); /* its home was just seen to be down */
    }
}

void
worker_spread_lost(struct worker *worker, uint32_t lane, bool blame)
{
    if (worker->spare != NULL && worker->spare_lane == lane &&
        worker->spare_state != SPARE_LEAVING) {
        worker->spare_state = SPARE_CONNECTING; /* the core knows that there is nothing to move */
        end_spare(worker);
    }
    spread_left(&worker->spread, lane, blame);
}

void
worker_spread_move(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    struct broker_lane *const old = worker->lanes[lane];
    worker->lanes[lane] = worker->spare;
    worker->spare = old;
    worker->spare_state = SPARE_LEAVING;
    worker->spare_until_us = now_us + CLOSE_WAIT_US;
    worker->lane_unsent[lane] = false;
    spread_moved(&worker->spread, lane, broker_lane_host(worker->lanes[lane]));
    worker->view.broker_connections++;
    worker_view_blocked(worker, now_us);
    worker_view_change(worker);
    log_info("lane_moved", LOG_WORDS("its host is back; nothing was in flight"),
             LOG_INT("lane", lane), LOG_STR("peer", broker_lane_peer(worker->lanes[lane])),
             LOG_STR("from", broker_lane_peer(old)));
    broker_lane_begin_close(old);
    broker_lane_flush(old, now_us);
    worker_fence_lane(worker, lane, now_us);
}
