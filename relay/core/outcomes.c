#include "relay/core/outcomes.h"

void
outcomes_clear(struct outcomes *outcomes)
{
    *outcomes = (struct outcomes){0};
}

uint64_t
outcomes_cause(enum refusal_kind kind, uint32_t exchange)
{
    return (uint64_t)kind << 32 | exchange;
}

static void
add(struct outcomes *outcomes, struct outcome outcome)
{
    outcomes->kept[outcomes->next] = outcome;
    outcomes->next = (outcomes->next + 1) % OUTCOMES_KEPT;
    outcomes->count += outcomes->count < OUTCOMES_KEPT;
}

void
outcomes_taken(struct outcomes *outcomes, int64_t id)
{
    add(outcomes, (struct outcome){.id = id});
}

bool
outcomes_refused(struct outcomes *outcomes, int64_t id, uint64_t cause)
{
    uint32_t same = 0;
    bool known = false;
    for (uint32_t i = 0; i < outcomes->count; i++) {
        struct outcome *outcome = &outcomes->kept[i];
        if (outcome->cause != 0 && outcome->id == id) {
            outcome->cause = cause;
            known = true;
        }
        same += outcome->cause == cause;
    }
    if (!known) {
        add(outcomes, (struct outcome){.id = id, .cause = cause});
        same += 1; /* the outcome that this one replaced may have been counted: one in 64 */
    }
    return same >= OUTCOMES_MIN && same * 4 >= outcomes->count * 3;
}
