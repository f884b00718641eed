/* base/mysql/connect.h and client.h with a real server. */
#include "base/mysql/connect.h"

#include <criterion/criterion.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mysql/client.h"
#include "tests/integration/certificates_fixture.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/servers_fixture.h"

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

/* Connects with OUTBOX_TEST_MYSQL_DSN and further options. */
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

/* A session that reconnected by itself would have lost its transaction and its settings. */
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

/* ---- TLS ------------------------------------------------------------------------------------------------------------------ */

/* "sslrootcert=FILE" with a file of the server's directory of certificates, and further options. */
static const char *
with_file(const char *name, const char *file, const char *more)
{
    static char text[600];
    const char *ca = getenv("OUTBOX_TEST_MYSQL_CA");
    (void)snprintf(text, sizeof(text), "%s=%.*s%s %s", name, (int)(strrchr(ca, '/') + 1 - ca), ca,
                   file, more); /* fits */
    return text;
}

static void
expect_tls(const char *more, bool wanted)
{
    struct error error;
    MYSQL *mysql = connect_with(more, NULL, &error);
    cr_assert_not_null(mysql, "%s: %s", more, error.text);
    cr_expect_eq(mysql_get_ssl_cipher(mysql) != NULL, wanted, "%s", more);
    mysql_close(mysql);
}

Test(mysql_connect, tls_is_used_as_sslmode_says)
{
    expect_tls("sslmode=disable", false);
    expect_tls("", true);
    expect_tls("sslmode=prefer", true);
    expect_tls("sslmode=require", true);
    expect_tls(with_file("sslrootcert", "ca.pem", "sslmode=verify-ca"), true);
    expect_tls(with_file("sslrootcert", "ca.pem", "sslmode=verify-full"), true);
    expect_tls(with_file("sslrootcert", "ca.pem", "sslmode=verify-full host=localhost"), true);
}

/* An authority that did not sign the certificate; and "127.1", which is the same host by a name that the certificate
 * does not have. */
Test(mysql_connect, certificates_are_verified_as_sslmode_says)
{
    expect_refused(with_file("sslrootcert", "client.pem", "sslmode=verify-ca"), 0, ERROR_CONFIG,
                   "connecting to the database at");
    expect_refused(with_file("sslrootcert", "client.pem", "sslmode=verify-full"), 0, ERROR_CONFIG,
                   "connecting to the database at");
    expect_refused(with_file("sslrootcert", "ca.pem", "sslmode=verify-full host=127.1"), 0,
                   ERROR_CONFIG, "connecting to the database at");
    expect_tls("sslmode=require host=127.1", true);
}

/* The server does not know the password of a new account yet. So caching_sha2_password, where it is the default, asks
 * for the whole password, over TLS or encrypted with the server's key. */
Test(mysql_connect, an_account_that_was_never_there)
{
    static const char *const modes[] = {"sslmode=disable", "sslmode=require"};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char sql[300];
        char more[300];
        (void)snprintf(sql, sizeof(sql), "create user '%s_%zu'@'%%' identified by 'fresh'",
                       mysql_fixture_database(), i); /* fits */
        mysql_fixture_exec(admin, sql);
        (void)snprintf(more, sizeof(more), "user=%s_%zu password=fresh dbname='' %s",
                       mysql_fixture_database(), i, modes[i]); /* fits */
        expect_tls(more, i == 1);
        (void)snprintf(sql, sizeof(sql), "drop user '%s_%zu'@'%%'", mysql_fixture_database(), i);
        mysql_fixture_exec(admin, sql);
    }
}

Test(mysql_connect, a_certificate_of_the_clients)
{
    char sql[300];
    char more[900];
    (void)snprintf(sql, sizeof(sql),
                   "create user '%s_x509'@'%%' identified by 'fresh' require x509",
                   mysql_fixture_database()); /* fits */
    mysql_fixture_exec(admin, sql);
    (void)snprintf(more, sizeof(more), "user=%s_x509 password=fresh dbname='' sslmode=require",
                   mysql_fixture_database()); /* fits */
    expect_refused(more, ER_ACCESS_DENIED_ERROR, ERROR_CONFIG, "Access denied");
    (void)strncat(more, " ", sizeof(more) - strlen(more) - 1); /* fits */
    (void)strncat(more, with_file("sslcert", "client.pem", ""), sizeof(more) - strlen(more) - 1);
    (void)strncat(more, with_file("sslkey", "client.key", ""), sizeof(more) - strlen(more) - 1);
    expect_tls(more, true);
    (void)snprintf(sql, sizeof(sql), "drop user '%s_x509'@'%%'", mysql_fixture_database());
    mysql_fixture_exec(admin, sql);
}

/* ---- a server of the test's own --------------------------------------------------------------------------------------------- */

static char shared_port[16];

static void
setup_server(void)
{
    (void)snprintf(shared_port, sizeof(shared_port), "%s", getenv("OUTBOX_TEST_MYSQL_PORT"));
    servers_start("mariadb");
    setup();
}

TestSuite(mysql_connect_server, .init = setup_server, .fini = teardown, .timeout = 120);

/* The error text of each client library, or of base/mysql instead. */
#ifdef OUTBOX_LIBMYSQLCLIENT
#define TLS_NAME "SSL"
#else
#define TLS_NAME "TLS"
#endif

/* MariaDB's client library 3.3 would go on without TLS. */
Test(mysql_connect_server, a_server_without_tls)
{
    const char *off = mysql_fixture_is_mariadb(admin) ? "skip-ssl" : "tls-version=";
    mysql_close(admin);
    servers_shell("echo %s >>%s/mariadb/server.cnf", off, servers_directory());
    servers_do("restart mariadb");
    admin = mysql_fixture_connect();
    expect_tls("", false);
    expect_tls("sslmode=prefer", false);
    expect_refused("sslmode=require", 0, ERROR_CONFIG, TLS_NAME);
    expect_refused(with_file("sslrootcert", "ca.pem", "sslmode=verify-ca"), 0, ERROR_CONFIG,
                   TLS_NAME);
    expect_refused(with_file("sslrootcert", "ca.pem", "sslmode=verify-full"), 0, ERROR_CONFIG,
                   TLS_NAME);
}

Test(mysql_connect_server, a_replica_is_passed_over)
{
    char more[200];
    struct error error;
    mysql_fixture_exec(admin, "set global read_only = on");
    expect_refused("", ER_OPTION_PREVENTS_STATEMENT, ERROR_CONNECTION, "it takes no changes");
    (void)snprintf(more, sizeof(more), "host=127.0.0.1,127.0.0.1 port=%s,%s dbname=mysql",
                   getenv("OUTBOX_TEST_MYSQL_PORT"), shared_port); /* fits */
    MYSQL *mysql = connect_with(more, NULL, &error);
    cr_assert_not_null(mysql, "%s", error.text);
    cr_expect_str_eq(mysql_fixture_text(mysql, "select @@port"), shared_port);
    mysql_close(mysql);
    mysql_fixture_exec(admin, "set global read_only = off");
}

/* From now on the server shows NAME.pem of the directory. */
static void
show_certificate(const char *directory, const char *name)
{
    mysql_close(admin);
    servers_shell("sed -i '/^ssl_/d' %s/mariadb/server.cnf; printf '%%s\\n' ssl_cert=%s/%s.pem "
                  "ssl_key=%s/%s.key ssl_ca=%s/ca.pem >>%s/mariadb/server.cnf",
                  servers_directory(), directory, name, directory, name, directory,
                  servers_directory());
    servers_do("restart mariadb");
    admin = mysql_fixture_connect();
}

Test(mysql_connect_server, certificates_of_a_private_authority)
{
    char directory[200];
    char before[300];
    char options[500];
    (void)snprintf(directory, sizeof(directory), "%s/tls", servers_directory()); /* these fit */
    servers_shell("mkdir -m 755 %s", directory);
    cr_assert_not_null(getcwd(before, sizeof(before)));
    cr_assert_eq(chdir(directory), 0);
    certificates_make();
    servers_shell("chmod 644 %s/*.key", directory);
    cr_assert_eq(chdir(before), 0);
    (void)snprintf(options, sizeof(options),
                   "host=localhost sslmode=verify-full sslrootcert=%s/ca.pem", directory);
    show_certificate(directory, "good");
    expect_tls(options, true);
    show_certificate(directory, "wrong");
    expect_refused(options, 0, ERROR_CONFIG, TLS_NAME);
    show_certificate(directory, "expired");
    expect_refused(options, 0, ERROR_CONFIG, "certificate");
    expect_tls("sslmode=require", true); /* which verifies nothing */
}
