#include "relay/holds.h"

#include <string.h>

#include "relay/memory.h"

void
holds_clear(struct holds *holds)
{
    for (size_t i = 0; i < holds->count; i++) {
        memory_free((char *)holds->items[i].reason); /* from holds_add */
    }
    holds->count = 0;
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

void
holds_add(struct holds *holds, const struct hold *hold, const struct hold_note *note)
{
    make_room(holds, holds->count + 1);
    holds->items[holds->count] = *hold;
    holds->items[holds->count].reason = hold->reason == NULL ? NULL : memory_string(hold->reason);
    holds->notes[holds->count] = *note;
    holds->count++;
}

void
holds_move(struct holds *from, struct holds *to, size_t max)
{
    const size_t count = from->count < max ? from->count : max;
    if (count == 0) {
        return;
    }
    make_room(to, to->count + count);
    memcpy(to->items + to->count, from->items, count * sizeof(*from->items));
    memcpy(to->notes + to->count, from->notes, count * sizeof(*from->notes));
    to->count += count;
    from->count -= count;
    memmove(from->items, from->items + count, from->count * sizeof(*from->items));
    memmove(from->notes, from->notes + count, from->count * sizeof(*from->notes));
}
