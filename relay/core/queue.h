/* relay/core/queue.h - rows that were read and not yet published: a ring. Nearly always they leave in the order in
 * which they came. When one has to wait, later rows that need not wait may leave from the middle. A dropped row will
 * not be published; it stays only until it is given back. */
#ifndef RELAY_CORE_QUEUE_H
#define RELAY_CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/ports/row.h"

struct queued {
    const struct row *row; /* NULL: the row has left from the middle */
    bool probe;            /* a held message that is tried again */
    bool dropped;
    uint64_t number; /* set by queue_push: how many rows were pushed before */
};

struct queue {
    struct queued *places;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;   /* places in use, including those whose row has left */
    uint32_t live;    /* rows to be published */
    uint32_t probes;  /* how many of those are probes */
    uint32_t dropped; /* rows to be given back */
    uint32_t at;      /* the place at which the current pass is */
    uint64_t bytes;   /* payloads of all rows */
    uint64_t pushed;  /* how many rows were pushed so far */
};

void queue_init(struct queue *queue, uint32_t capacity);
void queue_done(struct queue *queue);

/* The place with this index, from 0 (the oldest) to count - 1. Good until the next call. */
struct queued *queue_at(const struct queue *queue, uint32_t index);

/* Whether the place has a row that is to be published. */
bool queue_is_live(const struct queued *queued);

/* One step of a pass over the queue: the next place, or false at the end. */
static inline bool
queue_pass(struct queue *queue, uint32_t *ret_index)
{
    if (queue->at == queue->count) {
        return false;
    }
    *ret_index = queue->at++;
    return true;
}

/* Begins a new pass. */
static inline void
queue_rewind(struct queue *queue)
{
    queue->at = 0;
}

static inline bool
queue_is_rewound(const struct queue *queue)
{
    return queue->at == 0;
}

/* The number of the first row that is to be published and is no probe; queue.pushed if there is none. */
uint64_t queue_oldest(const struct queue *queue);

/* How many rows are in it, to be published or given back. */
uint32_t queue_rows(const struct queue *queue);

/* Appends a row. There must be room: fewer rows than capacity. */
void queue_push(struct queue *queue, const struct queued *queued);

/* Marks a live row as dropped: it will not be published. */
void queue_drop(struct queue *queue, struct queued *queued);

/* Takes a live row out. */
const struct row *queue_take(struct queue *queue, uint32_t index);

/* The next dropped row, taken out; NULL if there is none. */
const struct row *queue_take_dropped(struct queue *queue);

#endif
