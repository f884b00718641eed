#include "relay/core/window.h"

#include <assert.h>
#include <stddef.h>

#include "base/memory.h"

#define CAPACITY_MIN 64

static struct window_entry *
entry_at(const struct window *window, uint64_t tag)
{
    return &window->entries[tag & (window->capacity - 1)];
}

void
window_init(struct window *window, uint32_t messages)
{
    assert(messages > 0 && messages <= UINT32_C(1) << 24);
    uint32_t limit = 1;
    while (limit < messages) {
        limit *= 2;
    }
    const uint32_t capacity = limit < CAPACITY_MIN ? limit : CAPACITY_MIN;
    *window = (struct window){
        .entries = memory_array(capacity, sizeof(struct window_entry)),
        .capacity = capacity,
        .limit = limit,
    };
    window_clear(window);
}

void
window_done(struct window *window)
{
    memory_free(window->entries);
    *window = (struct window){0};
}

void
window_clear(struct window *window)
{
    window->low = 1;
    window->next = 1;
    window->open = 0;
    window->bytes = 0;
}

uint32_t
window_abandon(struct window *window)
{
    uint32_t unknown = 0;
    for (uint64_t tag = window->low; tag < window->next; tag++) {
        struct window_entry *entry = entry_at(window, tag);
        unknown += entry->pending && !entry->returned && !entry->abandoned;
        entry->abandoned = true;
    }
    return unknown;
}

bool
window_is_full(const struct window *window)
{
    return window->next - window->low == window->limit;
}

/* Each entry gets the place that its tag has in the larger array. */
static void
grow(struct window *window)
{
    struct window larger = *window;
    larger.capacity = 2 * window->capacity;
    larger.entries = memory_array(larger.capacity, sizeof(struct window_entry));
    for (uint64_t tag = window->low; tag < window->next; tag++) {
        *entry_at(&larger, tag) = *entry_at(window, tag);
    }
    memory_free(window->entries);
    *window = larger;
}

void
window_push(struct window *window, const struct window_entry *entry)
{
    assert(!window_is_full(window));
    if (window->next - window->low == window->capacity) {
        grow(window);
    }
    struct window_entry *place = entry_at(window, window->next);
    *place = *entry;
    place->pending = true;
    window->next++;
    window->open++;
    window->bytes += entry->bytes;
}

bool
window_take(struct window *window, uint64_t tag, struct window_entry *ret_entry)
{
    if (tag < window->low || tag >= window->next || !entry_at(window, tag)->pending) {
        return false;
    }
    struct window_entry *entry = entry_at(window, tag);
    entry->pending = false;
    *ret_entry = *entry;
    assert(window->open > 0 && window->bytes >= entry->bytes);
    window->open--;
    window->bytes -= entry->bytes;
    (void)window_oldest(window); /* moves `low` along */
    return true;
}

const struct window_entry *
window_at(const struct window *window, uint64_t tag)
{
    assert(tag >= window->low && tag < window->next);
    return entry_at(window, tag);
}

void
window_each(const struct window *window, void (*visit)(void *context, int64_t id), void *context)
{
    for (uint64_t tag = window->low; tag < window->next; tag++) {
        const struct window_entry *entry = entry_at(window, tag);
        if (entry->pending && !entry->returned && !entry->abandoned) {
            visit(context, entry->id);
        }
    }
}

int64_t
window_highest_id(const struct window *window, int64_t least)
{
    int64_t highest = least;
    for (uint64_t tag = window->low; tag < window->next; tag++) {
        const struct window_entry *entry = entry_at(window, tag);
        if (entry->pending && entry->id > highest) {
            highest = entry->id;
        }
    }
    return highest;
}

uint64_t
window_oldest(struct window *window)
{
    while (window->low < window->next && !entry_at(window, window->low)->pending) {
        window->low++;
    }
    return window->low;
}

struct window_entry *
window_find_unreturned(struct window *window, int64_t id)
{
    for (uint64_t tag = window_oldest(window); tag < window->next; tag++) {
        struct window_entry *entry = entry_at(window, tag);
        if (entry->pending && !entry->returned && entry->id == id) {
            return entry;
        }
    }
    return NULL;
}

void
window_doubt(struct window *window, int64_t id)
{
    for (uint64_t tag = window_oldest(window); tag < window->next; tag++) {
        struct window_entry *entry = entry_at(window, tag);
        entry->doubtful |= entry->pending && !entry->returned && entry->id == id;
    }
}

uint64_t
window_tag(const struct window *window, const struct window_entry *entry)
{
    const uint64_t mask = window->capacity - 1;
    const uint64_t place = (uint64_t)(entry - window->entries);
    return window->low + ((place - window->low) & mask);
}

uint64_t
window_find_exchange(struct window *window, uint32_t exchange)
{
    uint64_t tag = window_oldest(window);
    while (tag < window->next &&
           !(entry_at(window, tag)->pending && entry_at(window, tag)->exchange == exchange)) {
        tag++;
    }
    return tag;
}
