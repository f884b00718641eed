#include "tests/integration/outbox_mysql_fixture.h"

#include <stdio.h>

#include "tests/integration/mysql_fixture.h"

void
outbox_mysql_fixture_load(MYSQL *conn)
{
    static const char *const names[] = {"outbox", "outbox_payload", "outbox_new", "outbox_schema",
                                        "outbox_version"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[100];
        (void)snprintf(path, sizeof(path), "outbox-sql/mysql/schema/%s.sql", names[i]); /* fits */
        mysql_fixture_load(conn, path);
    }
}
