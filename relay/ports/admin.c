#include "relay/ports/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "relay/ports/admin_ops.h"

void
admin_close(struct admin *admin)
{
    if (admin != NULL) {
        admin->ops->close(admin);
    }
}

void
admin_rows_free(struct admin_rows *rows)
{
    if (rows->owner != NULL) {
        rows->free_owner(rows->owner);
    }
    *rows = (struct admin_rows){0};
}

bool
admin_name_parse(const char *text, struct admin_name *ret_name)
{
    uint8_t uuid[UUID_BYTES];
    uint64_t id;
    struct admin_name name = {.text = text};
    name.is_uuid = uuid_parse(text, strlen(text), uuid);
    if (name.is_uuid) {
        uuid_format(uuid, name.uuid);
    } else if (!text_parse_number(text, &id) || id > INT64_MAX) {
        return false;
    }
    *ret_name = name;
    return true;
}

uint64_t
admin_counts_sum(const struct admin_counts *counts)
{
    return counts->scheduled + counts->retrying + counts->waiting + counts->dead;
}
