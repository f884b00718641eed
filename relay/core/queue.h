/* relay/core/queue.h - rows that were read and not yet published: a ring. Nearly always they leave in the order they
 * came; where one has to wait, those behind it that need not may leave from the middle. What is dropped will not be
 * published and waits only to be given back. */
#ifndef RELAY_CORE_QUEUE_H
#define RELAY_CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/ports/row.h"

struct queued {
    const struct row *row; /* NULL: it has left from the middle */
    bool probe;            /* a held message that is tried again */
    bool dropped;
    uint64_t number; /* set by queue_push: how many were pushed before */
};

struct queue {
    struct queued *places;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;   /* places in use, with those whose row has left */
    uint32_t live;    /* rows that are to be published, */
    uint32_t probes;  /* and how many of them are probes */
    uint32_t dropped; /* rows to be given back */
    uint32_t at;      /* the pass over it has come so far */
    uint64_t bytes;   /* payloads of all rows */
    uint64_t pushed;  /* ever */
};

void queue_init(struct queue *queue, uint32_t capacity);
void queue_done(struct queue *queue);

/* The place with this index, from 0 (the oldest) to count - 1. Good until the next call. */
struct queued *queue_at(const struct queue *queue, uint32_t index);

/* Whether there is a row there that is to be published. */
bool queue_is_live(const struct queued *queued);

/* Somebody passes over it, place by place: the next, or false at the end. */
static inline bool
queue_pass(struct queue *queue, uint32_t *ret_index)
{
    if (queue->at == queue->count) {
        return false;
    }
    *ret_index = queue->at++;
    return true;
}

/* The next pass begins. */
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

/* The number of the first row in it that is to be published and is no probe; queue.pushed if there is none. */
uint64_t queue_oldest(const struct queue *queue);

/* Rows in it, to be published or given back. */
uint32_t queue_rows(const struct queue *queue);

/* At the end. There must be room: fewer rows than capacity. */
void queue_push(struct queue *queue, const struct queued *queued);

/* It will not be published. It must be live. */
void queue_drop(struct queue *queue, struct queued *queued);

/* Takes a live row out. */
const struct row *queue_take(struct queue *queue, uint32_t index);

/* The next dropped row, taken out; NULL if there is none. */
const struct row *queue_take_dropped(struct queue *queue);

#endif
