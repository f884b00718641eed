#include "relay/ports/admin_held.h"

#include <stdlib.h>

#include "base/memory.h"
#include "relay/ports/admin_ops.h"

bool
admin_held_list(struct admin *admin, const struct admin_filter *filter, uint64_t limit, bool whole,
                struct admin_messages *ret_messages, struct error *reterr)
{
    return admin->ops->held_list(admin, filter, limit, whole, ret_messages, reterr);
}

void
admin_messages_free(struct admin_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        free(messages->messages[i].payload);
    }
    memory_free(messages->messages);
    admin_rows_free(&messages->rows);
    *messages = (struct admin_messages){0};
}

bool
admin_held_count(struct admin *admin, const struct admin_filter *filter,
                 struct admin_counts *ret_counts, struct admin_ids *ret_ids, struct error *reterr)
{
    return admin->ops->held_count(admin, filter, ret_counts, ret_ids, reterr);
}

bool
admin_held_reasons(struct admin *admin, struct held_reasons *ret_reasons, struct error *reterr)
{
    return admin->ops->held_reasons(admin, ret_reasons, reterr);
}

bool
admin_held_find(struct admin *admin, const struct admin_name *name, struct admin_ids *ret_ids,
                struct error *reterr)
{
    return admin->ops->held_find(admin, name, ret_ids, reterr);
}

bool
admin_held_place(struct admin *admin, const char *key, int64_t id, struct admin_place *ret_place,
                 struct error *reterr)
{
    return admin->ops->held_place(admin, key, id, ret_place, reterr);
}

void
admin_place_free(struct admin_place *place)
{
    admin_messages_free(&place->head);
}

bool
admin_held_heads_of(struct admin *admin, const struct admin_ids *ids, struct admin_heads *ret_heads,
                    struct error *reterr)
{
    return admin->ops->held_heads_of(admin, ids, ret_heads, reterr);
}

void
admin_heads_free(struct admin_heads *heads)
{
    memory_free(heads->heads);
    admin_rows_free(&heads->rows);
    *heads = (struct admin_heads){0};
}

bool
admin_held_retry(struct admin *admin, const struct admin_filter *filter, const char *who,
                 struct admin_done *ret_done, struct error *reterr)
{
    return admin->ops->held_retry(admin, filter, who, ret_done, reterr);
}

bool
admin_held_discard(struct admin *admin, const struct admin_filter *filter, const char *who,
                   struct admin_done *ret_done, struct error *reterr)
{
    return admin->ops->held_discard(admin, filter, who, ret_done, reterr);
}

bool
admin_held_acts(struct admin *admin, const struct admin_name *name, struct admin_acts *ret_acts,
                struct error *reterr)
{
    return admin->ops->held_acts(admin, name, ret_acts, reterr);
}

void
admin_acts_free(struct admin_acts *acts)
{
    memory_free(acts->acts);
    admin_rows_free(&acts->rows);
    *acts = (struct admin_acts){0};
}
