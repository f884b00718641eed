#include "relay/core/queue.h"

#include <assert.h>
#include <stddef.h>

#include "base/memory.h"

void
queue_init(struct queue *queue, uint32_t capacity)
{
    *queue = (struct queue){.places = memory_array(capacity, sizeof(*queue->places)),
                            .capacity = capacity};
}

void
queue_done(struct queue *queue)
{
    memory_free(queue->places);
    *queue = (struct queue){0};
}

struct queued *
queue_at(const struct queue *queue, uint32_t index)
{
    assert(index < queue->count);
    const uint32_t before_end =
        /* No division: this function is called very often. */
        queue->capacity - queue->head;
    return &queue->places[index < before_end ? queue->head + index : index - before_end];
}

bool
queue_is_live(const struct queued *queued)
{
    return queued->row != NULL && !queued->dropped;
}

uint32_t
queue_rows(const struct queue *queue)
{
    return queue->live + queue->dropped;
}

static void
close_gaps(struct queue *queue)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < queue->count; i++) {
        if (queue_at(queue, i)->row != NULL) {
            *queue_at(queue, kept) = *queue_at(queue, i);
            kept++;
        }
    }
    queue->count = kept;
    queue->at = 0;
}

void
queue_push(struct queue *queue, const struct queued *queued)
{
    assert(queue_rows(queue) < queue->capacity && queued->row != NULL);
    if (queue->count == queue->capacity) {
        close_gaps(queue);
    }
    queue->count++;
    struct queued *const place = queue_at(queue, queue->count - 1);
    *place = *queued;
    place->number = queue->pushed++;
    queue->live += !queued->dropped;
    queue->probes += queued->probe && !queued->dropped;
    queue->dropped += queued->dropped;
    queue->bytes += queued->row->payload.size;
}

uint64_t
queue_oldest(const struct queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct queued *const queued = queue_at(queue, i);
        if (queue_is_live(queued) && !queued->probe) {
            return queued->number;
        }
    }
    return queue->pushed;
}

void
queue_drop(struct queue *queue, struct queued *queued)
{
    assert(queue_is_live(queued));
    queued->dropped = true;
    queue->dropped++;
    queue->live--;
    queue->probes -= queued->probe;
}

static const struct row *
leave(struct queue *queue, struct queued *queued)
{
    const struct row *const row = queued->row;
    queued->row = NULL;
    queue->bytes -= row->payload.size;
    return row;
}

const struct row *
queue_take(struct queue *queue, uint32_t index)
{
    struct queued *const queued = queue_at(queue, index);
    assert(queue_is_live(queued));
    queue->live--;
    queue->probes -= queued->probe;
    return leave(queue, queued);
}

static void
trim(struct queue *queue)
{
    while (queue->count > 0 && queue_at(queue, 0)->row == NULL) {
        queue->head = queue->head + 1 < queue->capacity ? queue->head + 1 : 0;
        queue->count--;
        queue->at -= queue->at > 0;
    }
}

const struct row *
queue_take_dropped(struct queue *queue)
{
    trim(queue);
    for (uint32_t i = 0; queue->dropped > 0 && i < queue->count; i++) {
        struct queued *const queued = queue_at(queue, i);
        if (queued->row != NULL && queued->dropped) {
            queue->dropped--;
            return leave(queue, queued);
        }
    }
    return NULL;
}
