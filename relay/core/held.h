/* relay/core/held.h - what the core remembers of held messages: which key (or which message without a key) is held
 * back, by which message, and at which stage. The messages themselves, their attempts and their reasons are in the
 * table outbox_held; this map is built from it at each ownership (pipeline_heads).
 *
 * An entry is RETRYING until its next attempt is due, then PROBING while its head is in memory, queued or in flight. If
 * the broker takes the head, the entry is RELEASING: the head is deleted, and the messages waiting behind it move back
 * to the outbox until none is left. If the head is refused, the entry is RETRYING again, or DEAD. */
#ifndef RELAY_CORE_HELD_H
#define RELAY_CORE_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* uthash's own hash function falls through switch labels, and clang warns where the macro is used. */
#define HASH_FUNCTION(key, length, hash) ((hash) = held_hash((key), (length)))
#include <uthash.h>

enum held_stage { HELD_STAGE_RETRYING, HELD_STAGE_PROBING, HELD_STAGE_DEAD, HELD_STAGE_RELEASING };

/* What is held back: a key, or one message without a key. */
struct held_subject {
    int64_t value; /* key hash, or row id */
    int64_t ordered;
};

struct held_entry {
    struct held_subject subject;
    enum held_stage stage;
    int64_t head_id;  /* the refused message */
    int64_t limit_id; /* messages of the key from this id on wait; earlier ones are published */
    /* The lowest id of the key that was read and left in the outbox; CURSOR_NONE: none. */
    int64_t floor_id;
    uint32_t attempts; /* as in the table */
    uint32_t tries;    /* refusals of any kind in a row; they set the next wait */
    uint64_t retry_at_us;
    uint64_t refused_us; /* time of the last refusal */
    uint64_t change;     /* value of held.changes at its last change */
    uint64_t load;       /* number of the last answer to PIPELINE_HEADS that named it */
    /* RELEASING: one more message was set aside behind the others since the release was asked for. */
    bool more;
    bool in_table; /* a message of it may be in the held table */
    bool fresh;    /* the head is still in the outbox: the table does not know of it yet */
    /* fresh: it may be set aside once so many confirmed messages are deleted; 0: not known yet */
    uint64_t settle_mark;
    /* RETRYING: do not fetch it before retry_at_us, even if the table says that it is due */
    bool apart;
    UT_hash_handle hh;
};

struct held {
    struct held_entry *entries; /* uthash */
    size_t count;
    size_t releasing_count;
    uint64_t next_retry_us; /* no RETRYING entry is due earlier; CLOCK_NEVER_US if there is none */
    uint64_t changes;
};

/* Of a struct held_subject. */
unsigned held_hash(const void *key, size_t length);

void held_init(struct held *held);
void held_clear(struct held *held); /* also to free it */

struct held_subject held_subject(int64_t id, int64_t key_hash, bool ordered);
struct held_entry *held_find(const struct held *held, struct held_subject subject);

/* True if the entry is RETRYING or DEAD: its head is not being tried now. */
bool held_leads(const struct held_entry *entry);

/* A new entry, RETRYING at retry_at_us. There must be none for the subject. */
struct held_entry *held_add(struct held *held, struct held_subject subject, int64_t head_id,
                            uint64_t retry_at_us);
void held_remove(struct held *held, struct held_entry *entry);

/* Moves the entry to this stage. */
void held_stage(struct held *held, struct held_entry *entry, enum held_stage stage);
/* Moves it to RETRYING, due at that time. */
void held_retry(struct held *held, struct held_entry *entry, uint64_t retry_at_us);

/* Computes next_retry_us again. */
void held_plan(struct held *held);

#endif
