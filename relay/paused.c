#include "relay/paused.h"

#include <assert.h>

#include "base/clock.h"
#include "relay/memory.h"

unsigned
paused_hash(const void *key, size_t length)
{
    const struct paused_subject *subject = key;
    assert(length == sizeof(*subject));
    (void)length; /* only asserted */
    /* Fibonacci hashing: the upper bits of the product depend on all bits of a key hash or a row id. */
    const uint64_t mixed =
        (uint64_t)(subject->value ^ subject->ordered << 62) * UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)(mixed >> 32);
}

void
paused_init(struct paused *paused)
{
    *paused = (struct paused){.next_retry_us = CLOCK_NEVER_US};
}

void
paused_done(struct paused *paused)
{
    struct paused_entry *entry;
    struct paused_entry *next;
    HASH_ITER(hh, paused->entries, entry, next)
    {
        paused_remove(paused, entry);
    }
}

struct paused_subject
paused_subject(int64_t id, int64_t key_hash, bool ordered)
{
    return (struct paused_subject){.value = ordered ? key_hash : id, .ordered = ordered};
}

struct paused_entry *
paused_find(const struct paused *paused, struct paused_subject subject)
{
    struct paused_entry *entry = NULL;
    HASH_FIND(hh, paused->entries, &subject, sizeof(subject), entry);
    return entry;
}

struct paused_entry *
paused_add(struct paused *paused, struct paused_subject subject, int64_t head_id, uint64_t now_us,
           uint64_t retry_at_us)
{
    assert(paused_find(paused, subject) == NULL);
    struct paused_entry *entry = memory_array(1, sizeof(*entry));
    entry->subject = subject;
    entry->head_id = head_id;
    entry->floor_id = head_id;
    entry->attempts = 1;
    entry->since_us = now_us;
    HASH_ADD(hh, paused->entries, subject, sizeof(entry->subject), entry);
    paused->count++;
    paused->ordered_count += subject.ordered != 0;
    paused_wait(paused, entry, retry_at_us);
    return entry;
}

void
paused_remove(struct paused *paused, struct paused_entry *entry)
{
    assert(paused->count > 0);
    HASH_DEL(paused->entries, entry);
    paused->count--;
    paused->ordered_count -= entry->subject.ordered != 0;
    paused->headless_count -= entry->state == PAUSED_HEADLESS;
    memory_free(entry);
}

void
paused_wait(struct paused *paused, struct paused_entry *entry, uint64_t retry_at_us)
{
    entry->state = PAUSED_WAITING;
    entry->retry_at_us = retry_at_us;
    if (retry_at_us < paused->next_retry_us) {
        paused->next_retry_us = retry_at_us;
    }
}

void
paused_rewind(struct paused *paused, enum paused_state from, uint64_t now_us)
{
    struct paused_entry *entry;
    struct paused_entry *next;
    HASH_ITER(hh, paused->entries, entry, next)
    {
        if (entry->state == from) {
            paused_wait(paused, entry, now_us);
        }
    }
}

size_t
paused_due(struct paused *paused, uint64_t now_us, int64_t *ret_ids, size_t ids_max)
{
    if (now_us < paused->next_retry_us) {
        return 0;
    }
    size_t count = 0;
    uint64_t next_retry_us = CLOCK_NEVER_US;
    struct paused_entry *entry;
    struct paused_entry *next;
    HASH_ITER(hh, paused->entries, entry, next)
    {
        if (entry->state != PAUSED_WAITING) {
            continue;
        }
        if (entry->retry_at_us <= now_us && count < ids_max) {
            entry->state = PAUSED_FETCHING;
            ret_ids[count++] = entry->head_id;
        } else if (entry->retry_at_us < next_retry_us) {
            next_retry_us = entry->retry_at_us;
        }
    }
    paused->next_retry_us = next_retry_us;
    return count;
}

void
paused_behead(struct paused *paused)
{
    struct paused_entry *entry;
    for (entry = paused->entries; entry != NULL; entry = entry->hh.next) {
        entry->state = PAUSED_HEADLESS;
    }
    paused->headless_count = paused->count;
    paused->next_retry_us = CLOCK_NEVER_US;
}

void
paused_crown(struct paused *paused, struct paused_entry *entry, int64_t head_id)
{
    assert(entry->state == PAUSED_HEADLESS);
    paused->headless_count--;
    entry->head_id = head_id;
    entry->floor_id = head_id;
    paused_wait(paused, entry, entry->retry_at_us);
}
