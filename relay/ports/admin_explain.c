#include "relay/ports/admin_explain.h"

#include "base/memory.h"
#include "relay/ports/admin_ops.h"

bool
admin_explain(struct admin *admin, const struct admin_name *name,
              struct admin_findings *ret_findings, struct error *reterr)
{
    return admin->ops->explain(admin, name, ret_findings, reterr);
}

void
admin_findings_free(struct admin_findings *findings)
{
    memory_free(findings->pending);
    admin_rows_free(&findings->pending_rows);
    admin_messages_free(&findings->held);
    admin_acts_free(&findings->acts);
    memory_free(findings->writers);
    admin_rows_free(&findings->writer_rows);
    *findings = (struct admin_findings){0};
}
