/* relay/ports/admin_ops.h - what each kind of database implements for admin.h, admin_status.h, admin_held.h and
 * admin_explain.h. Those headers say what each function does.
 *
 * A result owns what it points to: its arrays are made by memory_array, payloads by malloc. The texts in an array lie in
 * the memory of the `rows` beside it; those that are the kind's own words are static. */
#ifndef RELAY_PORTS_ADMIN_OPS_H
#define RELAY_PORTS_ADMIN_OPS_H

#include "relay/ports/admin_explain.h"
#include "relay/ports/admin_held.h"
#include "relay/ports/admin_status.h"

struct admin_ops {
    void (*close)(struct admin *admin);
    bool (*status_get)(struct admin *admin, struct admin_status *ret_status, struct error *reterr);
    bool (*log_behind)(struct admin *admin, log_position position, bool *ret_known,
                       uint64_t *ret_bytes, struct error *reterr);
    bool (*held_list)(struct admin *admin, const struct admin_filter *filter, uint64_t limit,
                      bool whole, struct admin_messages *ret_messages, struct error *reterr);
    bool (*held_count)(struct admin *admin, const struct admin_filter *filter,
                       struct admin_counts *ret_counts, struct admin_ids *ret_ids,
                       struct error *reterr);
    bool (*held_reasons)(struct admin *admin, struct held_reasons *ret_reasons,
                         struct error *reterr);
    bool (*held_find)(struct admin *admin, const struct admin_name *name, struct admin_ids *ret_ids,
                      struct error *reterr);
    bool (*held_place)(struct admin *admin, const char *key, int64_t id,
                       struct admin_place *ret_place, struct error *reterr);
    bool (*held_heads_of)(struct admin *admin, const struct admin_ids *ids,
                          struct admin_heads *ret_heads, struct error *reterr);
    bool (*held_retry)(struct admin *admin, const struct admin_filter *filter, const char *who,
                       struct admin_done *ret_done, struct error *reterr);
    bool (*held_discard)(struct admin *admin, const struct admin_filter *filter, const char *who,
                         struct admin_done *ret_done, struct error *reterr);
    bool (*held_acts)(struct admin *admin, const struct admin_name *name,
                      struct admin_acts *ret_acts, struct error *reterr);
    bool (*explain)(struct admin *admin, const struct admin_name *name,
                    struct admin_findings *ret_findings, struct error *reterr);
};

#endif
