#include "relay/core/held.h"

#include <assert.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/core/cursor.h"

unsigned
held_hash(const void *key, size_t length)
{
    const struct held_subject *subject = key;
    assert(length == sizeof(*subject));
    (void)length; /* only asserted */
    /* Fibonacci hashing: the upper bits of the product depend on all bits of a key hash or a row id. */
    const uint64_t mixed =
        (uint64_t)(subject->value ^ subject->ordered << 62) * UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)(mixed >> 32);
}

void
held_init(struct held *held)
{
    *held = (struct held){.next_retry_us = CLOCK_NEVER_US};
}

void
held_clear(struct held *held)
{
    struct held_entry *entry;
    struct held_entry *next;
    HASH_ITER(hh, held->entries, entry, next)
    {
        held_remove(held, entry);
    }
    held->next_retry_us = CLOCK_NEVER_US;
}

struct held_subject
held_subject(int64_t id, int64_t key_hash, bool ordered)
{
    return (struct held_subject){.value = ordered ? key_hash : id, .ordered = ordered};
}

struct held_entry *
held_find(const struct held *held, struct held_subject subject)
{
    struct held_entry *entry = NULL;
    if (held->count > 0) {
        HASH_FIND(hh, held->entries, &subject, sizeof(subject), entry);
    }
    return entry;
}

bool
held_leads(const struct held_entry *entry)
{
    return entry->stage == HELD_STAGE_RETRYING || entry->stage == HELD_STAGE_DEAD;
}

struct held_entry *
held_add(struct held *held, struct held_subject subject, int64_t head_id, uint64_t retry_at_us)
{
    assert(held_find(held, subject) == NULL);
    struct held_entry *entry = memory_array(1, sizeof(*entry));
    *entry = (struct held_entry){
        .subject = subject, .head_id = head_id, .limit_id = head_id, .floor_id = CURSOR_NONE};
    HASH_ADD(hh, held->entries, subject, sizeof(entry->subject), entry);
    held->count++;
    held_retry(held, entry, retry_at_us);
    return entry;
}

void
held_remove(struct held *held, struct held_entry *entry)
{
    assert(held->count > 0);
    held->releasing_count -= entry->stage == HELD_STAGE_RELEASING;
    HASH_DEL(held->entries, entry);
    held->count--;
    memory_free(entry);
}

void
held_stage(struct held *held, struct held_entry *entry, enum held_stage stage)
{
    held->releasing_count -= entry->stage == HELD_STAGE_RELEASING;
    held->releasing_count += stage == HELD_STAGE_RELEASING;
    entry->stage = stage;
    entry->apart = false;
    entry->change = ++held->changes;
}

void
held_retry(struct held *held, struct held_entry *entry, uint64_t retry_at_us)
{
    held_stage(held, entry, HELD_STAGE_RETRYING);
    entry->retry_at_us = retry_at_us;
    if (retry_at_us < held->next_retry_us) {
        held->next_retry_us = retry_at_us;
    }
}

void
held_plan(struct held *held)
{
    held->next_retry_us = CLOCK_NEVER_US;
    for (const struct held_entry *entry = held->entries; entry != NULL; entry = entry->hh.next) {
        if (entry->stage == HELD_STAGE_RETRYING && entry->retry_at_us < held->next_retry_us) {
            held->next_retry_us = entry->retry_at_us;
        }
    }
}
