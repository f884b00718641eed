/* relay/paused.h - keys that wait because one of their messages was refused, and unordered messages
 * that were refused themselves. Only the refused message is remembered, by its id; what follows it
 * stays in the table.
 *
 * An entry is WAITING until its time comes, FETCHING while its message is being read again, PROBING
 * while that message, alone of its key, is on its way. Then it is removed (the broker took it) or
 * waits again, longer. Once the ownership of the outbox was lost it is HEADLESS: which message is
 * the first of its key now is not known before the table was read again. */
#ifndef RELAY_PAUSED_H
#define RELAY_PAUSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* uthash's own function falls through switch labels, of which clang warns where the macro is used. */
#define HASH_FUNCTION(key, length, hash) ((hash) = paused_hash((key), (length)))
#include <uthash.h>

#define PAUSED_REASON_BYTES 240

enum paused_state { PAUSED_WAITING, PAUSED_FETCHING, PAUSED_PROBING, PAUSED_HEADLESS };

/* What is paused: all messages of a key, or one message that has none. */
struct paused_subject {
    int64_t value; /* key hash, or row id */
    int64_t ordered;
};

struct paused_entry {
    struct paused_subject subject;
    enum paused_state state;
    int64_t head_id;   /* the refused message */
    int64_t floor_id;  /* the lowest id of the key that is no longer in memory */
    uint32_t attempts; /* refusals of the head */
    uint64_t since_us;
    uint64_t retry_at_us; /* WAITING */
    char reason[PAUSED_REASON_BYTES];
    UT_hash_handle hh;
};

struct paused {
    struct paused_entry *entries; /* uthash */
    size_t count;
    size_t ordered_count;
    size_t headless_count;
    uint64_t next_retry_us; /* no entry is due before; CLOCK_NEVER_US if none waits */
};

/* Of a struct paused_subject. */
unsigned paused_hash(const void *key, size_t length);

void paused_init(struct paused *paused);
void paused_done(struct paused *paused);

struct paused_subject paused_subject(int64_t id, int64_t key_hash, bool ordered);
struct paused_entry *paused_find(const struct paused *paused, struct paused_subject subject);

/* A new entry, WAITING until retry_at_us, with one attempt. There must be none for the subject. */
struct paused_entry *paused_add(struct paused *paused, struct paused_subject subject,
                                int64_t head_id, uint64_t now_us, uint64_t retry_at_us);
void paused_remove(struct paused *paused, struct paused_entry *entry);

/* The entry waits (again) until then. */
void paused_wait(struct paused *paused, struct paused_entry *entry, uint64_t retry_at_us);

/* Entries in `from` wait again and are due at once: their fetch or probe came to nothing through no
 * fault of theirs. */
void paused_rewind(struct paused *paused, enum paused_state from, uint64_t now_us);

/* Moves the WAITING entries that are due to FETCHING, at most ids_max, and gives their head ids. */
size_t paused_due(struct paused *paused, uint64_t now_us, int64_t *ret_ids, size_t ids_max);

/* All entries become HEADLESS; when they are due stays as it was. */
void paused_behead(struct paused *paused);

/* The first message of a HEADLESS entry was found: it waits with that one. */
void paused_crown(struct paused *paused, struct paused_entry *entry, int64_t head_id);

#endif
