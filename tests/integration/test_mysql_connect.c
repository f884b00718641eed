/* base/mysql/connect.h and client.h with a real server. */
#include "base/mysql/connect.h"

#include <criterion/criterion.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mysql/client.h"
#include "tests/integration/mysql_fixture.h"

static MYSQL *admin;

static void
setup(void)
{
    admin = mysql_fixture_create();
}

static void
teardown(void)
{
    mysql_fixture_drop(admin);
}

TestSuite(mysql_connect, .init = setup, .fini = teardown, .timeout = 120);

static MYSQL *
connect_by(const char *text, unsigned *ret_number, struct error *reterr)
{
    struct dsn dsn;
    cr_assert(dsn_mysql_parse(text, &dsn, reterr), "%s", reterr->text);
    const struct mysql_connect_options options = {
        .dsn = &dsn, .program_name = "test_mysql_connect", .only_host = -1, .writes = true};
    MYSQL *mysql = mysql_connect_by_dsn(&options, NULL, ret_number, reterr);
    dsn_done(&dsn);
    return mysql;
}

/* OUTBOX_TEST_MYSQL_DSN, and more. */
static MYSQL *
connect_with(const char *more, unsigned *ret_number, struct error *reterr)
{
    char text[600];
    (void)snprintf(text, sizeof(text), "%s dbname=%s %s", getenv("OUTBOX_TEST_MYSQL_DSN"),
                   mysql_fixture_database(), more);
    return connect_by(text, ret_number, reterr);
}

static void
expect_good(MYSQL *mysql, const struct error *error)
{
    cr_assert_not_null(mysql, "%s", error->text);
    cr_expect_str_eq(mysql_fixture_text(mysql, "select database()"), mysql_fixture_database());
    cr_expect_str_eq(mysql_fixture_text(mysql, "select @@character_set_client"), "utf8mb4");
    mysql_close(mysql);
}

Test(mysql_connect, by_words_and_by_url)
{
    char url[600];
    struct error error;
    unsigned number = 1;
    expect_good(connect_with("", &number, &error), &error);
    cr_expect_eq(number, 0);
    (void)snprintf(url, sizeof(url), "mysql://%s:%s@%s:%s/%s", getenv("OUTBOX_TEST_MYSQL_USER"),
                   getenv("OUTBOX_TEST_MYSQL_PASSWORD"), getenv("OUTBOX_TEST_MYSQL_HOST"),
                   getenv("OUTBOX_TEST_MYSQL_PORT"), mysql_fixture_database());
    expect_good(connect_by(url, &number, &error), &error);
}

Test(mysql_connect, of_several_hosts_the_first_that_answers)
{
    char hosts[200];
    struct error error;
    (void)snprintf(hosts, sizeof(hosts), "host=/nonexistent,%s port=1,%s",
                   getenv("OUTBOX_TEST_MYSQL_HOST"), getenv("OUTBOX_TEST_MYSQL_PORT"));
    expect_good(connect_with(hosts, NULL, &error), &error);
}

static void
expect_refused(const char *more, unsigned expected, enum error_class class, const char *words)
{
    struct error error;
    unsigned number = 0;
    MYSQL *mysql = connect_with(more, &number, &error);
    cr_assert_null(mysql, "connected with %s", more);
    cr_expect_eq(mysql_client_is_own_error(number) ? 0 : number, expected, "%s: %u", more, number);
    cr_expect_eq(error.class, class, "%s", error.text);
    cr_expect_not_null(strstr(error.text, words), "%s: %s", more, error.text);
    cr_expect_null(strstr(error.text, "hunter2"), "%s", error.text);
    cr_expect_null(strchr(error.text, '\n'), "%s", error.text);
}

Test(mysql_connect, what_must_be_mended_is_told_from_an_outage)
{
    expect_refused("password=hunter2", ER_ACCESS_DENIED_ERROR, ERROR_CONFIG, "Access denied");
    expect_refused("dbname=nosuch", ER_BAD_DB_ERROR, ERROR_CONFIG, "Unknown database");
    expect_refused("host=127.0.0.1 port=1", 0, ERROR_CONNECTION,
                   "connecting to the database at 127.0.0.1: ");
}

/* A session that comes back by itself has no transaction any more, and no settings. */
Test(mysql_connect, a_lost_connection_stays_lost)
{
    const bool on = true;
    MYSQL *mysql = mysql_fixture_connect();
    cr_assert_eq(mysql_options(mysql, MYSQL_OPT_RECONNECT, &on), 0);
    mysql_client_stay_lost(mysql);
    cr_assert_geq(mysql_client_socket(mysql), 0);
    cr_assert_eq(shutdown(mysql_client_socket(mysql), SHUT_RDWR), 0);
    cr_expect_neq(mysql_query(mysql, "do 1"), 0);
    cr_expect(mysql_client_is_own_error(mysql_errno(mysql)), "%u", mysql_errno(mysql));
    cr_expect_neq(mysql_query(mysql, "do 1"), 0);
    cr_expect_eq(mysql_client_socket(mysql), -1);
    mysql_close(mysql);
}

Test(mysql_connect, the_servers_errors_are_not_the_librarys)
{
    cr_expect_eq(mysql_fixture_try(admin, "select nonsense"), ER_BAD_FIELD_ERROR);
    cr_expect_not(mysql_client_is_own_error(mysql_errno(admin)));
}
