#include "relay/core/cuts.h"

#include <stddef.h>

static struct cut *
find(struct cuts *cuts, int64_t id)
{
    for (uint32_t i = 0; i < CUTS_KEPT; i++) {
        if (cuts->kept[i].count > 0 && cuts->kept[i].id == id) {
            return &cuts->kept[i];
        }
    }
    return NULL;
}

static struct cut *
take_place(struct cuts *cuts)
{
    struct cut *place = &cuts->kept[cuts->next];
    for (uint32_t i = 0; i < CUTS_KEPT && place->count > 0; i++) {
        place = &cuts->kept[(cuts->next + i) % CUTS_KEPT];
    }
    if (place->count > 0) {
        place = &cuts->kept[cuts->next];
        cuts->next = (cuts->next + 1) % CUTS_KEPT;
        cuts->count--;
    }
    return place;
}

uint32_t
cuts_note(struct cuts *cuts, int64_t id, uint64_t passed)
{
    struct cut *cut = find(cuts, id);
    if (cut == NULL) {
        cut = take_place(cuts);
        *cut = (struct cut){.id = id, .count = 1};
        cuts->count++;
    } else if (cut->count < CUTS_ASIDE || (passed > cut->passed && cut->count < UINT32_MAX)) {
        cut->count++;
    }
    cut->passed = passed;
    return cut->count;
}

void
cuts_clear(struct cuts *cuts, int64_t id)
{
    struct cut *cut = cuts->count > 0 ? find(cuts, id) : NULL;
    if (cut != NULL) {
        cut->count = 0;
        cuts->count--;
    }
}

void
cuts_clear_all(struct cuts *cuts)
{
    *cuts = (struct cuts){.count = 0};
}
