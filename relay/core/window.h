/* relay/core/window.h - messages that one lane has published and the broker has not yet confirmed, in the order of
 * their delivery tags. Tags of a channel count from 1, and a ring indexed by tag finds each message in one step. It
 * keeps ids and not the messages: a message that has to be sent again is read again. */
#ifndef RELAY_CORE_WINDOW_H
#define RELAY_CORE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window_entry {
    int64_t id;
    int64_t key_hash;
    uint64_t published_us;
    int64_t created_us; /* when it was written, by the wall clock; 0: not known */
    uint32_t bytes;
    uint32_t exchange; /* pipeline_exchange_hash */
    bool ordered;      /* has a key */
    bool probe;        /* a held message that is tried again */
    bool returned;     /* basic.return came; the confirm is still to come */
    bool pending;      /* not yet confirmed */
    /* A return came that may belong to this copy or to an earlier one, so the confirm proves nothing. */
    bool doubtful;
    bool abandoned; /* published in an earlier ownership: the confirm is ignored */
};

struct window {
    struct window_entry *entries;
    uint32_t capacity; /* a power of two; it grows */
    uint32_t limit;    /* likewise; it does not grow beyond */
    uint64_t low;      /* the oldest tag that may still be pending */
    uint64_t next;     /* the tag of the next publish */
    uint32_t open;     /* entries pending */
    uint64_t bytes;    /* of the entries pending */
};

/* Room for at least `messages` entries, allocated as it is needed: few sources ever need all of it. */
void window_init(struct window *window, uint32_t messages);
void window_done(struct window *window);

/* Resets for a new channel, whose tags start at 1. The caller has handled the pending entries. */
void window_clear(struct window *window);

/* The ownership of the pending entries is over. Their tags still have to be accounted for. Gives of how many messages the
 * outcome is not known for this reason. */
uint32_t window_abandon(struct window *window);

bool window_is_full(const struct window *window);

/* Appends; not when full. */
void window_push(struct window *window, const struct window_entry *entry);

/* Takes the pending entry with this tag out. False if there is none. */
bool window_take(struct window *window, uint64_t tag, struct window_entry *ret_entry);

/* The entry of a tag from window.low to window.next - 1. */
const struct window_entry *window_at(const struct window *window, uint64_t tag);

/* Visits the ids of pending entries that were not returned and belong to the present ownership. */
void window_each(const struct window *window, void (*visit)(void *context, int64_t id),
                 void *context);

/* The highest id that is pending, or `least` if that is higher. */
int64_t window_highest_id(const struct window *window, int64_t least);

/* The oldest tag that is pending, or window.next if nothing is. */
uint64_t window_oldest(struct window *window);

/* The oldest pending entry with this row id that was not returned yet, or NULL. (A returned message may be published
 * again before the confirm of its first copy has come.) Takes one step for each entry, so only for rare events. */
struct window_entry *window_find_unreturned(struct window *window, int64_t id);

/* Marks the entries with this row id that were not returned as doubtful. One step for each entry. */
void window_doubt(struct window *window, int64_t id);

/* The tag of an entry that is pending. */
uint64_t window_tag(const struct window *window, const struct window_entry *entry);

/* The tag of the oldest pending entry for this exchange, or window.next. One step for each entry. */
uint64_t window_find_exchange(struct window *window, uint32_t exchange);

#endif
