#include "base/clock.h"
#include "relay/daemon/worker_private.h"

#define TELL_US CLOCK_S_US
#define TELL_QUIET_US (10 * CLOCK_S_US)

/* Makes the status due at once, so that the database shows the new owner. */
void
worker_status_begin(struct worker *worker, uint64_t now_us)
{
    struct pipeline_counts counts;
    pipeline_counts(worker->pipeline, &counts);
    worker->status = (struct worker_status){
        .told_us = now_us > TELL_QUIET_US ? now_us - TELL_QUIET_US : 0,
        .confirmed = counts.confirmed,
    };
}

uint64_t
worker_status_deadline_us(const struct worker *worker)
{
    if (worker->lease_until_us == 0) {
        return CLOCK_NEVER_US;
    }
    const struct worker_status *last = &worker->status;
    return last->quiet ? clock_on_beat_us(last->told_us, TELL_QUIET_US, worker->config->phase_us)
                       : last->told_us + TELL_US;
}

static double
rate_of(const struct worker_status *before, uint64_t confirmed, uint64_t now_us)
{
    const uint64_t elapsed_us = now_us - before->told_us;
    return elapsed_us == 0 ? 0 : (double)(confirmed - before->confirmed) * 1e6 / (double)elapsed_us;
}

static void
tell(struct worker *worker, struct source_status *status, uint64_t now_us)
{
    struct worker_status *last = &worker->status;
    const bool paused = status->paused_reason != NULL;
    const bool moved = status->confirmed != last->confirmed || status->in_flight > 0;
    if (paused && !last->paused) {
        last->paused_since_us = now_us;
    }
    status->rate = rate_of(last, status->confirmed, now_us);
    status->paused_for_us = paused ? now_us - last->paused_since_us : 0;
    worker->source->ops->status(worker->source, status, now_us);
    *last = (struct worker_status){
        .told_us = now_us,
        .confirmed = status->confirmed,
        .paused = paused,
        .quiet = !moved && paused == last->paused,
        .paused_since_us = last->paused_since_us,
    };
}

/* About once a second, or about every ten seconds if nothing happens. A change is written within a second: it is noticed
 * without a timer, in any turn of the worker. */
void
worker_status_tell(struct worker *worker, uint64_t now_us)
{
    struct source_status status;
    if (worker->lease_until_us == 0 || now_us < worker->status.told_us + TELL_US) {
        return;
    }
    pipeline_status(worker->pipeline, now_us, &status);
    const bool news = status.confirmed != worker->status.confirmed || status.in_flight > 0 ||
                      (status.paused_reason != NULL) != worker->status.paused;
    if (news || now_us >= worker_status_deadline_us(worker)) {
        tell(worker, &status, now_us);
    }
}
