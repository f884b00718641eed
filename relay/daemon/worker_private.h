/* relay/daemon/worker_private.h - the worker's state, shared by its files: worker.c (life and loop), worker_source.c and
 * worker_lane.c (what those report), worker_act.c (what the pipeline wants done), worker_spread.c (which host a lane is
 * at), worker_fence.c (the second fence, at the broker), worker_status.c and worker_view.c (what others may know). All run
 * on the worker's thread unless they say otherwise. */
#ifndef RELAY_DAEMON_WORKER_PRIVATE_H
#define RELAY_DAEMON_WORKER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/random.h"
#include "relay/core/pipeline.h"
#include "relay/daemon/log.h"
#include "relay/daemon/outage.h"
#include "relay/daemon/pace.h"
#include "relay/daemon/spread.h"
#include "relay/daemon/worker.h"
#include "relay/rabbit/lane.h"

/* A lane with more unsent bytes than this gets no new messages: the broker does not keep up. */
#define CONGESTED_BYTES ((size_t)512 * 1024)

/* The last status that was written. */
struct worker_status {
    uint64_t told_us;
    uint64_t confirmed;
    double rate;
    bool paused;
    bool quiet; /* nothing went out and nothing changed: written less often */
    uint64_t paused_since_us;
};

enum spare_state {
    SPARE_CONNECTING,
    SPARE_READY,   /* its channel is open: waits until nothing is in flight on the lane */
    SPARE_LEAVING, /* the former connection of a lane, until it is closed */
};

struct worker {
    const struct source_config *config;
    struct board *board;
    struct board_entry *entry;
    struct config *global; /* of which `config` is a part */
    pthread_t thread;
    int wake_fd;     /* written by worker_drain and worker_leave */
    int finished_fd; /* written by the thread as it ends; the caller's */
    atomic_bool drain_asked;
    atomic_bool leave_asked;
    atomic_bool finished;
    bool drained; /* set by the thread; read after it was joined */

    /* Used only by the thread. */
    struct pipeline *pipeline;
    struct source *source;
    struct broker_lane *lanes[PIPELINE_LANES_MAX];
    bool lane_used[PIPELINE_LANES_MAX];        /* messages were published on it under this lease */
    bool lane_unsent[PIPELINE_LANES_MAX];      /* the lane has unsent messages */
    uint64_t lane_look_us[PIPELINE_LANES_MAX]; /* when arrived bytes were last checked */
    uint32_t lane_count;
    struct spread spread;
    struct random spread_random;
    uint64_t spread_due_us;    /* when the next lane may move */
    struct broker_lane *spare; /* NULL: none */
    enum spare_state spare_state;
    uint32_t spare_lane;
    uint64_t spare_until_us; /* SPARE_LEAVING: then it is closed at once */
    uint64_t lease_until_us;
    char outbox[SOURCE_OUTBOX_BYTES]; /* source_owned's; "": not owned, or not known */
    bool source_there; /* last known state: this relay or another one owns the outbox */
    struct pace pace;
    bool draining;
    struct worker_status status;
    /* As it was last shown. Its state, and the counts of what was lost and made, are kept here alone. */
    struct board_view view;
    bool view_changed;         /* to be shown at once */
    uint64_t blocked_since_us; /* not in view.blocked_us yet; 0: not blocked */
    struct outage source_outage;
    struct outage tail_outage;
    struct outage unmoved_outage;
    struct outage undeleted_outage;
    struct outage fence_outage;
    bool fenceless_told;
    struct quota refused_quota;
    struct outage lane_outages[PIPELINE_LANES_MAX];
};

/* worker_source.c: after poll(2), handles the source's events. */
struct pollfd;
void worker_serve_source(struct worker *worker, const struct pollfd *polls, uint64_t now_us);

/* worker_lane.c: the same for a lane. */
void worker_serve_lane(struct worker *worker, uint32_t lane, short revents, uint64_t now_us);
/* Begins to connect, with the present password. */
void worker_lane_connect(struct worker *worker, uint32_t lane, uint64_t now_us);
/* level: LOG_ERROR where an operator must act. */
void worker_lane_lost(struct worker *worker, uint32_t lane, enum log_level level, const char *why,
                      uint64_t now_us);
void worker_lane_log(const struct worker *worker, uint32_t lane, enum log_level level,
                     const char *event, const char *words, const char *error);

/* worker_spread.c: at which host of the broker's URI each lane is. */
void worker_spread_init(struct worker *worker);
/* Handles the spare connection's events, after poll(2); begins a move when one is due. */
void worker_spread_serve(struct worker *worker, short revents, uint64_t now_us);
uint64_t worker_spread_deadline_us(const struct worker *worker);
/* The lane is about to connect; has a connection; has lost it, or got none. blame: its host may be the reason. */
void worker_spread_connect(struct worker *worker, uint32_t lane);
void worker_spread_arrived(struct worker *worker, uint32_t lane, uint64_t now_us);
void worker_spread_lost(struct worker *worker, uint32_t lane, bool blame);
/* The spare takes the lane's place. */
void worker_spread_move(struct worker *worker, uint32_t lane, uint64_t now_us);

/* worker_fence.c: the second fence, at the broker (relay/rabbit/lane.h). This relay owns the outbox now, of which `outbox`
 * is source_owned's; does not any more; a lane has another connection; goes on without. */
void worker_fence_begin(struct worker *worker, const char *outbox, uint64_t now_us);
void worker_fence_end(struct worker *worker, uint64_t now_us);
void worker_fence_lane(struct worker *worker, uint32_t lane, uint64_t now_us);
struct broker_lane_event;
void worker_fence_tell(struct worker *worker, uint32_t lane, const struct broker_lane_event *event,
                       uint64_t now_us);
/* Tells the core whether the lane can take messages. */
void worker_lane_congested(struct worker *worker, uint32_t lane);

/* worker_act.c: carries out the pipeline's actions, at most some hundred. True if none is left now. */
bool worker_act(struct worker *worker, uint64_t now_us);

/* Logs once a minute how many messages were refused without a line of their own. */
void worker_tell_refused(struct worker *worker, uint64_t now_us);

/* Releases a row; frees the batch with its last row. */
void worker_drop_row(const struct row *row);

/* worker_status.c: writes the relay's status to the database, about once a second. */
void worker_status_begin(struct worker *worker, uint64_t now_us);
void worker_status_tell(struct worker *worker, uint64_t now_us);
uint64_t worker_status_deadline_us(const struct worker *worker);

/* worker_view.c: shows the state on the board: at once after worker_view_change or worker_view_state, else once a second
 * while something changes. */
void worker_view_change(struct worker *worker);
void worker_view_state(struct worker *worker, enum board_state state, const char *reason,
                       uint64_t now_us);
/* A lane was blocked, unblocked or lost: adds up how long the broker takes no messages. */
void worker_view_blocked(struct worker *worker, uint64_t now_us);
void worker_view_tell(struct worker *worker, uint64_t now_us);
uint64_t worker_view_deadline_us(const struct worker *worker);

#endif
