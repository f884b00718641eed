/* relay/daemon/worker_private.h - the worker's state, shared by its files: worker.c (life and loop), worker_source.c and
 * worker_lane.c (what those report), worker_act.c (what the pipeline wants done). All run on the worker's thread unless
 * they say otherwise. */
#ifndef RELAY_DAEMON_WORKER_PRIVATE_H
#define RELAY_DAEMON_WORKER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "relay/core/pipeline.h"
#include "relay/daemon/log.h"
#include "relay/daemon/outage.h"
#include "relay/daemon/pace.h"
#include "relay/daemon/worker.h"
#include "relay/rabbit/lane.h"

/* More than this not yet taken by the socket, and the lane is left alone: the broker does not keep up. */
#define CONGESTED_BYTES ((size_t)512 * 1024)

/* What was told last. */
struct worker_status {
    uint64_t told_us;
    uint64_t confirmed;
    double rate;
    bool paused;
    bool quiet; /* nothing went out and nothing is paused: told more seldom */
    uint64_t paused_since_us;
};

struct worker {
    const struct source_config *config;
    pthread_t thread;
    int wake_fd;     /* written by worker_drain */
    int finished_fd; /* written by the thread as it ends */
    atomic_bool drain_asked;
    atomic_bool finished;
    bool drained; /* the thread's; read after it was joined */

    /* The thread's own. */
    struct pipeline *pipeline;
    struct source *source;
    struct broker_lane *lanes[PIPELINE_LANES_MAX];
    bool lane_unsent[PIPELINE_LANES_MAX];      /* messages stand in the lane's output */
    uint64_t lane_look_us[PIPELINE_LANES_MAX]; /* when it was last looked what has arrived */
    uint32_t lane_count;
    uint64_t lease_until_us;
    bool source_there; /* the last that was heard of it: it is worked, or another relay does */
    struct pace pace;
    bool draining;
    struct worker_status status;
    struct outage source_outage;
    struct outage tail_outage;
    struct outage unmoved_outage;
    struct outage undeleted_outage;
    struct quota refused_quota;
    struct outage lane_outages[PIPELINE_LANES_MAX];
};

/* worker_source.c: after poll(2), takes what the source has to say. */
struct pollfd;
void worker_serve_source(struct worker *worker, const struct pollfd *polls, uint64_t now_us);

/* worker_lane.c: the same for a lane. */
void worker_serve_lane(struct worker *worker, uint32_t lane, short revents, uint64_t now_us);
/* Begins to connect, with the password as it is now. */
void worker_lane_connect(struct worker *worker, uint32_t lane, uint64_t now_us);
/* level: LOG_ERROR where an operator must act. */
void worker_lane_lost(struct worker *worker, uint32_t lane, enum log_level level, const char *why,
                      uint64_t now_us);
void worker_lane_log(const struct worker *worker, uint32_t lane, enum log_level level,
                     const char *event, const char *words, const char *error);

/* worker_act.c: does what the pipeline wants, some hundred actions at the most. True if nothing is left to do now. */
bool worker_act(struct worker *worker, uint64_t now_us);

/* Once a minute, how many messages were refused without a line of their own. */
void worker_tell_refused(struct worker *worker, uint64_t now_us);

/* The worker is done with a row; frees the batch after its last. */
void worker_drop_row(const struct row *row);

/* worker_status.c: what the relay tells of itself in the database, about once a second. */
void worker_status_begin(struct worker *worker, uint64_t now_us);
void worker_status_tell(struct worker *worker, uint64_t now_us);
uint64_t worker_status_deadline_us(const struct worker *worker);

#endif
