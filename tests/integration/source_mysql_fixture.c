#include "tests/integration/source_mysql_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mysql/connect.h"
#include "relay/mysql/names.h"
#include "relay/mysql/source.h"
#include "relay/ports/database.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"

static const struct database_kind kind = {.name = "mysql", .source_new = source_mysql_new};

MYSQL *
source_mysql_fixture_create(void)
{
    MYSQL *conn = mysql_fixture_create();
    outbox_mysql_fixture_load(conn);
    outbox_mysql_fixture_load_relay(conn);
    return conn;
}

MYSQL *
source_mysql_fixture_connect_without_tls(void)
{
    char text[600];
    struct dsn dsn;
    struct error error;
    (void)snprintf(text, sizeof(text), "%s sslmode=disable", mysql_fixture_dsn()); /* fits */
    cr_assert(dsn_mysql_parse(text, &dsn, &error), "%s", error.text);
    const struct mysql_connect_options options = {
        .dsn = &dsn, .program_name = "other", .only_host = -1};
    MYSQL *mysql = mysql_connect_by_dsn(&options, NULL, NULL, &error);
    cr_assert_not_null(mysql, "%s", error.text);
    dsn_done(&dsn);
    return mysql;
}

void
source_mysql_fixture_insert(MYSQL *conn, int count)
{
    char *sql = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&sql, &size);
    (void)fprintf(text, "insert into outbox (routing_key, payload) values ");
    for (int i = 1; i <= count; i++) {
        (void)fprintf(text, "%s('k%d', 'x')", i > 1 ? ", " : "", i);
    }
    (void)fclose(text);
    mysql_fixture_exec(conn, sql);
    free(sql);
}

struct source_config
source_mysql_fixture_config_with(const char *more, uint64_t takeover_us)
{
    char dsn[1000];
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s %s", getenv("OUTBOX_TEST_MYSQL_DSN"),
                   mysql_fixture_database(), more);
    struct source_config config = source_fixture_config(dsn, takeover_us);
    config.kind = &kind;
    return config;
}

struct source_config
source_mysql_fixture_config(uint64_t takeover_us)
{
    return source_mysql_fixture_config_with("", takeover_us);
}

struct source_config
source_mysql_fixture_config_as_user(uint64_t takeover_us)
{
    char more[200];
    (void)snprintf(more, sizeof(more), "user=%s password=%s", mysql_fixture_database(),
                   MYSQL_FIXTURE_USER_PASSWORD);
    return source_mysql_fixture_config_with(more, takeover_us);
}

unsigned long
source_mysql_fixture_owner(MYSQL *conn)
{
    char name[MY_LOCK_BYTES];
    char sql[200];
    my_lock_name(mysql_fixture_database(), name);
    (void)snprintf(sql, sizeof(sql), "select is_used_lock('%s')", name);
    return (unsigned long)mysql_fixture_int(conn, sql);
}

void
source_mysql_fixture_drop_checks(MYSQL *conn)
{
    mysql_fixture_exec(conn, "alter table outbox drop constraint outbox_message_id_16_bytes");
    mysql_fixture_exec(conn, "alter table outbox drop constraint outbox_payload_set");
}
