#include "relay/ports/admin_status.h"

#include "base/memory.h"
#include "relay/ports/admin_ops.h"

bool
admin_status_get(struct admin *admin, struct admin_status *ret_status, struct error *reterr)
{
    return admin->ops->status_get(admin, ret_status, reterr);
}

bool
admin_log_behind(struct admin *admin, log_position position, bool *ret_known, uint64_t *ret_bytes,
                 struct error *reterr)
{
    return admin->ops->log_behind(admin, position, ret_known, ret_bytes, reterr);
}

void
admin_status_free(struct admin_status *status)
{
    memory_free(status->sessions.sessions);
    admin_rows_free(&status->sessions.rows);
    admin_rows_free(&status->relay.rows);
    *status = (struct admin_status){0};
}

const struct admin_session *
admin_status_owner(const struct admin_status *status)
{
    const bool owned = status->sessions.count > 0 && status->sessions.sessions[0].owns;
    return owned ? &status->sessions.sessions[0] : NULL;
}

bool
admin_status_is_owners(const struct admin_status *status)
{
    return admin_status_owner(status) != NULL && status->relay.known && status->relay.by_owner;
}

bool
admin_status_is_current(const struct admin_status *status)
{
    return admin_status_is_owners(status) &&
           status->now_us - status->relay.updated_us <= ADMIN_STATUS_FRESH_US;
}
