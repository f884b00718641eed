/* A pool that gives the relay's statements to changing sessions. The ownership is a lock of a session, so others would
 * get it. The source notices that, refuses and says so. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mysql/client.h"
#include "relay/mysql/names.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/mysql_proxy_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *admin;
static MYSQL *other; /* the session that statements are sent to */
static struct mysql_proxy *proxy;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    char more[100];
    admin = source_mysql_fixture_create();
    other = source_mysql_fixture_connect_without_tls();
    proxy = mysql_proxy_open((int)strtol(getenv("OUTBOX_TEST_MYSQL_PORT"), NULL, 10),
                             mysql_client_socket(other));
    (void)snprintf(more, sizeof(more), "host=127.0.0.1 port=%d sslmode=disable",
                   mysql_proxy_port(proxy)); /* fits */
    config = source_mysql_fixture_config_with(more, 10 * CLOCK_S_US);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_proxy_close(proxy);
    mysql_close(other);
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql_pool, .init = create, .fini = drop, .timeout = 120);

/* It must not have owned the outbox before. */
static void
expect_refused(void)
{
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(lost.class, ERROR_CONFIG, "%s", lost.text);
    cr_assert_not_null(strstr(lost.text, "a proxy or pool before the server gives the relay's "
                                         "statements to other sessions"),
                       "%s", lost.text);
}

Test(source_mysql_pool, one_session_for_each_connection_will_do)
{
    source = source_fixture_own(&config);
}

Test(source_mysql_pool, sessions_in_turn)
{
    mysql_proxy_take(proxy, MYSQL_PROXY_IN_TURN);
    source = source_fixture_open(&config);
    expect_refused();
}

Test(source_mysql_pool, reads_that_go_to_another_session)
{
    mysql_proxy_take(proxy, MYSQL_PROXY_READS_TO_OTHER);
    source = source_fixture_open(&config);
    expect_refused();
}

/* A session that another relay had before, with the ownership: the server would grant it again. */
Test(source_mysql_pool, a_session_that_has_the_ownership_already)
{
    char name[MY_LOCK_BYTES];
    char sql[200];
    my_lock_name(mysql_fixture_database(), name);
    (void)snprintf(sql, sizeof(sql), "select get_lock('%s', 0)", name); /* fits */
    cr_assert_eq(mysql_fixture_int(other, sql), 1);
    mysql_proxy_take(proxy, MYSQL_PROXY_OTHER);
    source = source_fixture_open(&config);
    expect_refused();
}

/* A pool that was quiet becomes busy: the owner notices when it looks for scheduled messages, twice a second. */
Test(source_mysql_pool, sessions_that_change_later)
{
    source = source_fixture_own(&config);
    mysql_proxy_take(proxy, MYSQL_PROXY_IN_TURN);
    source->ops->wake(source, 100, clock_monotonic_us());
    expect_refused();
}
