/* relay/core/held.h - what the core remembers of held messages: which key (or which message without one) is held back, by
 * which message, and how far. The messages themselves, their attempts and reasons are in the table outbox_held; this map
 * is made from it at each ownership (pipeline_heads).
 *
 * An entry is RETRYING until its time comes; PROBING while its head is in memory, queued or on its way; then RELEASING
 * (the broker took it: it is deleted, and those waiting behind it move back to the outbox) until nothing is left waiting,
 * or RETRYING again, or DEAD. */
#ifndef RELAY_CORE_HELD_H
#define RELAY_CORE_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* uthash's own function falls through switch labels, of which clang warns where the macro is used. */
#define HASH_FUNCTION(key, length, hash) ((hash) = held_hash((key), (length)))
#include <uthash.h>

enum held_stage { HELD_STAGE_RETRYING, HELD_STAGE_PROBING, HELD_STAGE_DEAD, HELD_STAGE_RELEASING };

/* What is held back: a key, or one message that has none. */
struct held_subject {
    int64_t value; /* key hash, or row id */
    int64_t ordered;
};

struct held_entry {
    struct held_subject subject;
    enum held_stage stage;
    int64_t head_id;  /* the refused message */
    int64_t limit_id; /* messages of the key from this id on wait; those before it go */
    /* RELEASING: the lowest id of the key that was read and left in the outbox; CURSOR_NONE */
    int64_t floor_id;
    uint32_t attempts; /* as in the table */
    uint32_t tries;    /* refusals of any kind in a row: what the next wait grows by */
    uint64_t retry_at_us;
    uint64_t refused_us; /* when, last */
    uint64_t change;     /* when it last changed, counted in changes of the whole map */
    uint64_t load;       /* the answer of heads that named it last */
    bool more; /* RELEASING: one more was put behind those waiting since the release was asked */
    bool in_table; /* something of it may be in the held table */
    bool fresh;    /* the head is in the outbox still: nothing of it was told to the table */
    /* fresh: it may be told once so many confirmed messages were deleted; 0: not known yet */
    uint64_t settle_mark;
    /* RETRYING: the table may call it due, and it must not be fetched before retry_at_us */
    bool apart;
    UT_hash_handle hh;
};

struct held {
    struct held_entry *entries; /* uthash */
    size_t count;
    size_t releasing_count;
    uint64_t next_retry_us; /* no RETRYING entry is due before; CLOCK_NEVER_US if there is none */
    uint64_t changes;
};

/* Of a struct held_subject. */
unsigned held_hash(const void *key, size_t length);

void held_init(struct held *held);
void held_clear(struct held *held); /* also to free it */

struct held_subject held_subject(int64_t id, int64_t key_hash, bool ordered);
struct held_entry *held_find(const struct held *held, struct held_subject subject);

/* Its head is in the held table, and not being tried. */
bool held_leads(const struct held_entry *entry);

/* A new entry, RETRYING at retry_at_us. There must be none for the subject. */
struct held_entry *held_add(struct held *held, struct held_subject subject, int64_t head_id,
                            uint64_t retry_at_us);
void held_remove(struct held *held, struct held_entry *entry);

/* The entry gets into this stage. */
void held_stage(struct held *held, struct held_entry *entry, enum held_stage stage);
/* It is RETRYING, at that time. */
void held_retry(struct held *held, struct held_entry *entry, uint64_t retry_at_us);

/* Looks anew when the first is due. */
void held_plan(struct held *held);

#endif
