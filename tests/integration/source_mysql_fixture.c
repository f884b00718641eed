#include "tests/integration/source_mysql_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "relay/mysql/source.h"
#include "tests/integration/mysql_fixture.h"

static const struct database_kind kind = {.name = "mysql", .source_new = source_mysql_new};

struct source_config
source_mysql_fixture_config(uint64_t takeover_us)
{
    char dsn[400];
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s", getenv("OUTBOX_TEST_MYSQL_DSN"),
                   mysql_fixture_database());
    struct source_config config = source_fixture_config(dsn, takeover_us);
    config.kind = &kind;
    return config;
}

struct source_config
source_mysql_fixture_config_as_user(uint64_t takeover_us)
{
    char dsn[400];
    (void)snprintf(dsn, sizeof(dsn), "host=%s port=%s user=%s password=%s dbname=%s",
                   getenv("OUTBOX_TEST_MYSQL_HOST"), getenv("OUTBOX_TEST_MYSQL_PORT"),
                   mysql_fixture_database(), MYSQL_FIXTURE_USER_PASSWORD, mysql_fixture_database());
    struct source_config config = source_fixture_config(dsn, takeover_us);
    config.kind = &kind;
    return config;
}
