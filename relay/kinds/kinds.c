#include "relay/kinds/kinds.h"

#include "relay/mysql/kind.h"
#include "relay/postgres/kind.h"

const struct database_kind *const database_kinds[] = {
    &database_postgres,
    &database_mysql,
    NULL,
};
