#include "tests/integration/outbox_mysql_fixture.h"

#include <stdio.h>

#include "tests/integration/mysql_fixture.h"

static void
load_all(MYSQL *conn, const char *const *names)
{
    for (; *names != NULL; names++) {
        char path[100];
        (void)snprintf(path, sizeof(path), "outbox-sql/mysql/schema/%s.sql", *names); /* fits */
        mysql_fixture_load(conn, path);
    }
}

void
outbox_mysql_fixture_load(MYSQL *conn)
{
    static const char *const names[] = {"outbox",        "outbox_payload", "outbox_new",
                                        "outbox_schema", "outbox_version", NULL};
    load_all(conn, names);
}

void
outbox_mysql_fixture_load_relay(MYSQL *conn)
{
    static const char *const names[] = {
        "outbox_held",         "outbox_held_act",      "outbox_relay",  "outbox_sent_batch",
        "outbox_relay_schema", "outbox_relay_version", "outbox_cancel", NULL};
    load_all(conn, names);
}
