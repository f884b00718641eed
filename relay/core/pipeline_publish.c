#include "relay/core/pipeline_publish.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "relay/core/pipeline_internal.h"

/* So many bytes of an exchange's name are compared: the broker cuts the text in which it names an exchange after 255
 * bytes, some of which are its own words. */
#define EXCHANGE_BYTES_KNOWN 190

void
publishing_init(struct pipeline *pipeline, uint64_t now_us)
{
    struct publishing *publishing = &pipeline->publishing;
    publishing->highest_id = CURSOR_START;
    bucket_init(&publishing->bucket, pipeline->options.rate_max, now_us);
    (void)snprintf(publishing->limited_reason, sizeof(publishing->limited_reason),
                   "no more than %" PRIu32 " messages a second are sent (rate_max)",
                   pipeline->options.rate_max); /* fits */
}

bool
publishing_is_out(const struct pipeline *pipeline)
{
    return pipeline->publishing.row != NULL;
}

int64_t
publishing_highest_id(const struct pipeline *pipeline)
{
    return pipeline->publishing.highest_id;
}

/* ---- rate_max -------------------------------------------------------------------------------------- */

uint64_t
publishing_deadline_us(const struct pipeline *pipeline)
{
    const struct publishing *publishing = &pipeline->publishing;
    return publishing->limited ? bucket_due_us(&publishing->bucket) : CLOCK_NEVER_US;
}

const char *
publishing_limited_reason(const struct pipeline *pipeline)
{
    const struct publishing *publishing = &pipeline->publishing;
    return publishing->limited ? publishing->limited_reason : NULL;
}

/* Whether rows wait for the bucket. Nothing is busy meanwhile: the next look is due when one may go. */
static bool
is_limited(struct pipeline *pipeline, bool may_publish, uint64_t now_us)
{
    struct publishing *publishing = &pipeline->publishing;
    if (pipeline->options.rate_max == 0) {
        return false;
    }
    if (publishing->limited && now_us > publishing->looked_us) {
        pipeline->counts.limited_us += now_us - publishing->looked_us;
    }
    publishing->looked_us = now_us;
    publishing->limited =
        may_publish && pipeline->queue.live > 0 && !bucket_allows(&publishing->bucket, now_us);
    return publishing->limited;
}

/* ---- which row, and where to ----------------------------------------------------------------------- */

/* A key always has the same lane; a message without one takes the lane with the least in flight. */
static uint32_t
choose_lane(const struct pipeline *pipeline, const struct queued *queued)
{
    const uint32_t lane_count = pipeline->options.lane_count;
    if (queued->probe) {
        return lane_for_probes(pipeline);
    }
    if (queued->row->ordered) {
        return (uint32_t)((uint64_t)queued->row->key_hash % lane_count);
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < lane_count; i++) {
        if (lane_is_better(pipeline, i, best)) {
            best = i;
        }
    }
    return best;
}

static bool
may_publish(const struct pipeline *pipeline, uint64_t now_us)
{
    return pipeline->owned && now_us < pipeline->lease_until_us && settling_has_room(pipeline);
}

/* False: the row has to stay for now. Then all rows behind it for the same lane stay as well, as they may be of its
 * key. */
static bool
may_leave(struct pipeline *pipeline, const struct queued *queued, uint32_t *ret_lane)
{
    struct publishing *publishing = &pipeline->publishing;
    if (pipeline->options.strict && queued->row->ordered &&
        busy_has(&pipeline->busy, queued->row->key_hash)) {
        return false;
    }
    *ret_lane = choose_lane(pipeline, queued);
    bool *const passed_over = &publishing->passed_over[*ret_lane];
    if (*passed_over || (publishing->full && !queued->probe) ||
        !lane_has_room(pipeline, *ret_lane, (uint32_t)queued->row->payload.size)) {
        *passed_over = true;
        return false;
    }
    return true;
}

static bool
all_passed_over(const struct pipeline *pipeline)
{
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        if (!pipeline->publishing.passed_over[i] && lane_is_ready(pipeline, i)) {
            return false;
        }
    }
    return true;
}

static void
begin_pass(struct pipeline *pipeline)
{
    bool *const passed_over = pipeline->publishing.passed_over;
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        passed_over[i] = false;
    }
    passed_over[pipeline->options.lane_count] = pipeline->queue.probes == 0;
}

/* The next row of this pass over the queue that may go, and its lane. Nearly always it is the first. */
static bool
find_publishable(struct pipeline *pipeline, uint32_t *ret_index, uint32_t *ret_lane)
{
    const bool full = pipeline_is_full(pipeline) && !route_is_bad(pipeline);
    if (full != pipeline->publishing.full) {
        pipeline->publishing.full = full;
        queue_rewind(&pipeline->queue);
    }
    if (queue_is_rewound(&pipeline->queue)) {
        begin_pass(pipeline);
    }
    while (queue_pass(&pipeline->queue, ret_index)) {
        const struct queued *queued = queue_at(&pipeline->queue, *ret_index);
        if (queue_is_live(queued) && may_leave(pipeline, queued, ret_lane)) {
            return true;
        }
        if (all_passed_over(pipeline)) {
            break;
        }
    }
    return false;
}

/* ---- publishing ------------------------------------------------------------------------------------ */

static struct window_entry
entry_of(const struct row *row, bool probe, uint64_t now_us)
{
    return (struct window_entry){
        .id = row->id,
        .key_hash = row->key_hash,
        .published_us = now_us,
        .created_us = row->created_at_us,
        .bytes = (uint32_t)row->payload.size,
        .exchange = pipeline_exchange_hash(row->exchange),
        .ordered = row->ordered,
        .probe = probe,
    };
}

/* A message for a suspected exchange is refused without being sent. From time to time one is let through: a held
 * message, or one of a sample. */
static bool
is_suspect(struct pipeline *pipeline, const struct row *row, bool probe, uint64_t now_us)
{
    if (pipeline->suspects.count == 0) {
        return false;
    }
    const uint32_t exchange = pipeline_exchange_hash(row->exchange);
    if (suspects_find(&pipeline->suspects, exchange) == NULL) {
        return false;
    }
    if (route_lets_suspect(pipeline)) {
        return false;
    }
    return !probe || !suspects_try(&pipeline->suspects, exchange, &pipeline->random, now_us);
}

static void
refuse_unsent(struct pipeline *pipeline, uint32_t lane, const struct row *row, bool probe,
              uint64_t now_us)
{
    const struct window_entry entry = entry_of(row, probe, now_us);
    const struct suspect *suspect = suspects_find(&pipeline->suspects, entry.exchange);
    const uint64_t try_at_us = suspect->try_at_us > now_us ? suspect->try_at_us : now_us;
    const uint64_t spread_us = random_between(&pipeline->random, 0, try_at_us - now_us + 1);
    const struct refusal refusal = {.kind = REFUSED_CLOSED,
                                    .reason = suspect->reason,
                                    .retry_at_us = try_at_us + spread_us,
                                    .blameless = true,
                                    .tag = lane_window(pipeline, lane)->next - 1};
    pipeline_refuse(pipeline, lane, &entry, &refusal, now_us);
    route_weigh(pipeline, lane, now_us);
}

bool
publishing_next_drop(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    (void)now_us; /* has the shape of a step */
    const struct row *row = queue_take_dropped(&pipeline->queue);
    if (row == NULL) {
        return false;
    }
    *ret_action = (struct pipeline_action){.type = PIPELINE_DROP, .row = row};
    return true;
}

/* The next row that may go, out of the queue; NULL if there is none. */
static const struct row *
take_publishable(struct pipeline *pipeline, uint64_t now_us, uint32_t *ret_lane, bool *ret_probe)
{
    uint32_t index;
    const bool may = may_publish(pipeline, now_us);
    assert(!publishing_is_out(pipeline));
    if (is_limited(pipeline, may, now_us) || !may ||
        !find_publishable(pipeline, &index, ret_lane)) {
        return NULL;
    }
    *ret_probe = queue_at(&pipeline->queue, index)->probe;
    return queue_take(&pipeline->queue, index);
}

static void
begin_publishing(struct pipeline *pipeline, const struct row *row, uint32_t lane, bool probe,
                 uint64_t now_us)
{
    struct publishing *publishing = &pipeline->publishing;
    publishing->row = row;
    publishing->lane = lane;
    publishing->probe = probe;
    publishing->at_us = now_us;
}

bool
publishing_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    uint32_t lane;
    bool probe;
    const struct row *row = take_publishable(pipeline, now_us, &lane, &probe);
    if (row == NULL) {
        return false;
    }
    if (is_suspect(pipeline, row, probe, now_us)) {
        refuse_unsent(pipeline, lane, row, probe, now_us);
        *ret_action = (struct pipeline_action){.type = PIPELINE_DROP, .row = row};
        return true;
    }
    begin_publishing(pipeline, row, lane, probe, now_us);
    *ret_action = (struct pipeline_action){.type = PIPELINE_PUBLISH, .row = row, .lane = lane};
    return true;
}

const struct row *
pipeline_publish_on(struct pipeline *pipeline, uint64_t now_us, uint32_t *ret_lane)
{
    bool probe;
    if (pipeline->suspects.count > 0) {
        return NULL; /* the next row may have to be refused */
    }
    const struct row *row = take_publishable(pipeline, now_us, ret_lane, &probe);
    if (row != NULL) {
        begin_publishing(pipeline, row, *ret_lane, probe, now_us);
    }
    return row;
}

void
pipeline_published(struct pipeline *pipeline)
{
    struct publishing *publishing = &pipeline->publishing;
    assert(publishing_is_out(pipeline));
    const struct window_entry entry =
        entry_of(publishing->row, publishing->probe, publishing->at_us);
    lane_published(pipeline, publishing->lane, &entry, publishing->at_us);
    bucket_take(&publishing->bucket);
    if (entry.id > publishing->highest_id) {
        publishing->highest_id = entry.id;
    }
    pipeline->counts.published++;
    publishing->row = NULL;
}

void
pipeline_unpublishable(struct pipeline *pipeline, const char *reason, uint64_t now_us)
{
    struct publishing *publishing = &pipeline->publishing;
    assert(publishing_is_out(pipeline));
    const struct window_entry entry = entry_of(publishing->row, publishing->probe, now_us);
    publishing->row = NULL;
    pipeline_refuse(pipeline, publishing->lane, &entry,
                    &(struct refusal){.kind = REFUSED_UNPUBLISHABLE, .reason = reason}, now_us);
}

uint32_t
pipeline_exchange_hash(struct span exchange)
{
    const unsigned char *bytes = exchange.data;
    const size_t size = exchange.size < EXCHANGE_BYTES_KNOWN ? exchange.size : EXCHANGE_BYTES_KNOWN;
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT32_C(16777619);
    }
    return hash == 0 ? 1 : hash;
}
