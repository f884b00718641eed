#include "relay/core/holds.h"

#include <string.h>

#include "base/memory.h"

void
holds_clear(struct holds *holds)
{
    for (size_t i = 0; i < holds->count; i++) {
        memory_free(holds->notes[i].reason);
    }
    holds->count = 0;
}

bool
holds_a_head(const struct hold *hold)
{
    return hold->state == HELD_RETRYING || hold->state == HELD_DEAD;
}

void
holds_done(struct holds *holds)
{
    holds_clear(holds);
    memory_free(holds->items);
    memory_free(holds->notes);
    *holds = (struct holds){0};
}

static void
make_room(struct holds *holds, size_t needed)
{
    if (needed <= holds->capacity) {
        return;
    }
    const size_t capacity = needed * 2;
    struct hold *const items = memory_array(capacity, sizeof(*items));
    struct hold_note *const notes = memory_array(capacity, sizeof(*notes));
    if (holds->count > 0) {
        memcpy(items, holds->items, holds->count * sizeof(*items));
        memcpy(notes, holds->notes, holds->count * sizeof(*notes));
    }
    memory_free(holds->items);
    memory_free(holds->notes);
    holds->items = items;
    holds->notes = notes;
    holds->capacity = capacity;
}

static void
set(struct holds *holds, size_t index, const struct hold *hold)
{
    char *const reason = hold->reason == NULL ? NULL : memory_string(hold->reason);
    holds->items[index] = *hold;
    holds->items[index].reason = reason;
    holds->notes[index].reason = reason;
}

void
holds_add(struct holds *holds, const struct hold *hold, const struct hold_note *note)
{
    make_room(holds, holds->count + 1);
    holds->notes[holds->count] = *note;
    set(holds, holds->count++, hold);
}

void
holds_replace(struct holds *holds, size_t index, const struct hold *hold)
{
    memory_free(holds->notes[index].reason);
    set(holds, index, hold);
}

void
holds_filter(struct holds *holds,
             bool (*takes)(void *context, const struct hold *hold, const struct hold_note *note),
             void *context)
{
    size_t kept = 0;
    for (size_t i = 0; i < holds->count; i++) {
        if (takes(context, &holds->items[i], &holds->notes[i])) {
            memory_free(holds->notes[i].reason);
            continue;
        }
        holds->items[kept] = holds->items[i];
        holds->notes[kept] = holds->notes[i];
        kept++;
    }
    holds->count = kept;
}
