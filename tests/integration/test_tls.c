/* TLS for operators: which certificates are refused, by whom, and with which words. The broker is OpenSSL's test
 * server, because a handshake is enough here; the database server belongs to the test. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/certificates_fixture.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/servers_fixture.h"

static unsigned short port;

static void
make_certificates(void)
{
    cli_enter();
    certificates_make();
}

static void
clean_up(void)
{
    certificates_end_server();
    cli_leave();
}

TestSuite(tls, .init = make_certificates, .fini = clean_up, .timeout = 240);

/* A server with the certificate NAME.pem. options: further options of `openssl s_server`. */
static void
start_server(const char *name, const char *options)
{
    char line[400];
    certificates_end_server();
    port = cli_free_port();
    (void)snprintf(line, sizeof(line),
                   "exec openssl s_server -quiet -accept 127.0.0.1:%u -cert %s.pem -key %s.key %s "
                   "</dev/null >s_server.log 2>&1",
                   port, name, name, options); /* fits */
    certificates_serve(line, port);
}

static void
write_config(const char *query, const char *dsn)
{
    cli_write("relay.conf",
              "broker main { uri = \"amqps://localhost:%u/?connection_timeout=3000&%s\" }\n"
              "source test { kind = postgres mode = poll broker = main dsn = \"%s\" }\n",
              port, query, dsn);
}

static void
expect_said(const char *text, const char *what)
{
    check(strstr(cli_stdout(), text) != NULL, "%s: \"%s\" was expected, this was said:\n%s%s", what,
          text, cli_stdout(), cli_stderr());
}

/* Promise: no bad certificate is accepted, and the error says what is wrong with it instead of blaming the password. */
Test(tls, bad_certificates_of_the_broker)
{
    static const struct {
        const char *name;
        const char *words;
    } cases[] = {
        {"expired", "certificate has expired"},
        {"wrong", "hostname mismatch: it is not for localhost"},
        {"nameless", "it names no host, because it has no subjectAltName"},
        {"self", "self-signed certificate"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start_server(cases[i].name, "");
        write_config("cacertfile=ca.pem", "host=/nowhere");
        cr_assert_eq(cli("check -c relay.conf"), 1);
        expect_said("TLS: certificate verify failed: ", cases[i].name);
        expect_said(cases[i].words, cases[i].name);
        check(strstr(cli_stdout(), "virtual host") == NULL, "%s: %s", cases[i].name, cli_stdout());
    }
}

/* Promise: the broker's reason to refuse our certificate is reported. */
Test(tls, what_the_broker_demands)
{
    write_config("", "host=/nowhere");
    start_server("good", "-Verify 1 -verify_return_error -CAfile ca.pem");
    write_config("cacertfile=ca.pem", "host=/nowhere");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_said("the broker demands a client certificate: name one by certfile and keyfile",
                "none");
    write_config("cacertfile=ca.pem&certfile=self.pem&keyfile=self.key", "host=/nowhere");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_said("the broker does not know the authority that signed the certificate of certfile",
                "another authority's");
    start_server("good", "-tls1_1 -cipher ALL:@SECLEVEL=0");
    write_config("cacertfile=ca.pem", "host=/nowhere");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_said("the broker does not speak TLS 1.2 or newer", "an old one");
}

/* Promise: each host of a list is checked, and the bad one is named. Of two connections one begins with it. */
Test(tls, a_bad_host_of_a_list_is_named)
{
    const char *const real = strchr(test_env("OUTBOX_TEST_AMQP_URI"), '@');
    start_server("expired", "");
    cli_write("relay.conf",
              "broker main { uri = \"amqps://guest:guest@localhost:%u,localhost:%s/"
              "?cacertfile=all.pem\" }\n"
              "source test { kind = postgres mode = poll broker = main publishers = 2 "
              "dsn = \"host=/nowhere\" }\n",
              port, test_env("OUTBOX_TEST_AMQP_TLS_PORT"));
    cli_write("cat", "cat ca.pem '%s' > all.pem", test_env("OUTBOX_TEST_AMQP_CA"));
    check(real != NULL && system("sh ./cat") == 0, "cat");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    char bad[100];
    (void)snprintf(bad, sizeof(bad), "problem  broker \"main\": localhost:%u: TLS: certificate",
                   port); /* fits */
    expect_said(bad, "the bad one");
    expect_said("virtual host \"/\", TLSv1.3, the certificate of \"CN=localhost\" verified: signed "
                "by \"CN=outbox-relay test CA\", known by cacertfile ./all.pem",
                "the good one");
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("event=host_passed_over");
    (void)snprintf(bad, sizeof(bad), "localhost:%u: TLS: certificate verify failed",
                   port); /* fits */
    cli_wait_for_log(bad);
    check(kill(relay, SIGTERM) == 0, "kill");
    (void)cli_wait(relay); /* the database does not exist */
}

/* Promise: files are checked before the start, without blocking. The unit does not restart after exit status 78. */
Test(tls, files_that_cannot_be_used_are_told_before_the_start)
{
    static const struct {
        const char *query;
        const char *dsn;
        const char *words;
    } cases[] = {
        {"cacertfile=none", "", "uri: cannot use cacertfile ./none: No such file or directory"},
        {"cacertfile=pipe", "", "uri: cannot use cacertfile ./pipe: this is no regular file"},
        {"cacertfile=made", "", "there is no certificate in PEM form in it"},
        {"certfile=client.pem&keyfile=pipe", "", "keyfile ./pipe: this is no regular file"},
        {"certfile=client.pem&keyfile=enc.key", "", "the key is encrypted"},
        {"certfile=client.pem&keyfile=self.key", "", "it is not the key of certfile ./client.pem"},
        {"certfile=client.pem&keyfile=client.csr", "", "there is no private key in PEM form in it"},
        {"certfile=client.key&keyfile=client.key", "", "there is no certificate in PEM form in it"},
        {"", "sslmode=verify-ful", "dsn: sslmode must be disable, allow, prefer"},
        {"", "sslrootcert=none sslmode=verify-full", "dsn: cannot use sslrootcert ./none: No such"},
        {"", "sslrootcert=made sslmode=verify-full", "there is no certificate in PEM form in it"},
        {"", "sslcert=client.pem sslkey=pipe", "dsn: cannot use sslkey ./pipe: this is no regular"},
        {"", "sslcert=client.pem sslkey=enc.key", "sslkey ./enc.key: the key is encrypted"},
        {"", "sslcert=client.pem sslkey=self.key", "it is not the key of sslcert ./client.pem"},
    };
    port = 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_config(cases[i].query, cases[i].dsn);
        cr_assert_eq(cli("run -c relay.conf --check-config"), 78, "%s", cases[i].words);
        check(strstr(cli_stderr(), cases[i].words) != NULL, "%s: %s", cases[i].words, cli_stderr());
        cr_assert_eq(cli("run -c relay.conf"), 78, "%s", cases[i].words);
    }
}

/* Promise: relative names are beside the configuration file, for every key and in any working directory. */
Test(tls, relative_names_are_beside_the_configuration)
{
    port = 1;
    cli_write("password", "x");
    check(chmod("password", 0600) == 0, "chmod");
    cli_write("relay.conf",
              "broker main { uri = \"amqps://localhost/?cacertfile=ca.pem&certfile=client.pem&"
              "keyfile=client.key\" password_file = password }\n"
              "source test { kind = postgres broker = main password_file = password\n"
              "  dsn = \"sslmode=verify-full sslrootcert=ca.pem sslcert=client.pem "
              "sslkey=client.key\" }\n");
    char line[600];
    char directory[300];
    check(getcwd(directory, sizeof(directory)) != NULL && chdir("/") == 0, "chdir");
    (void)snprintf(line, sizeof(line), "run -c %s/relay.conf --check-config", directory); /* fits */
    const int status = cli(line);
    check(chdir(directory) == 0, "chdir");
    cr_assert_eq(status, 0, "%s", cli_stderr());
    check(strstr(cli_stdout(), "warning") == NULL, "%s", cli_stdout());
}

/* ---- the database ---- */

/* A server of this test, with TLS and a self-signed certificate for "localhost". */
static void
start_database(void)
{
    servers_start("postgres");
    PGconn *const db = pg_fixture_create();
    pg_exec(db, "copy (select 1) to program 'openssl req -x509 -newkey ec -pkeyopt "
                "ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost -addext "
                "subjectAltName=DNS:localhost -keyout server.key -out server.crt 2>/dev/null'");
    pg_exec(db, "alter system set ssl = on");
    pg_exec(db, "select pg_reload_conf()");
    PGresult *const result = PQexec(db, "select pg_read_file('server.crt')");
    cli_write("db.pem", "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    pg_fixture_load_outbox(db);
    PQfinish(db);
}

static bool
has_tls(void *context)
{
    char dsn[600];
    (void)snprintf(dsn, sizeof(dsn), "%s sslmode=require", (const char *)context); /* fits */
    PGconn *const db = PQconnectdb(dsn);
    const bool has = PQsslInUse(db) != 0;
    PQfinish(db);
    return has;
}

static const char *
dsn_with_options(const char *options)
{
    static char dsn[700];
    (void)snprintf(dsn, sizeof(dsn), "%s host=localhost hostaddr=127.0.0.1 %s", pg_fixture_dsn(),
                   options); /* fits */
    return dsn;
}

static void
check_database(const char *options, const char *words)
{
    write_config("", dsn_with_options(options));
    (void)cli("check -c relay.conf"); /* nobody listens on the broker's port */
    expect_said(words, options);
}

static void
expect_log(const char *options, const char *words)
{
    write_config("", dsn_with_options(options));
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_lost");
    check(kill(relay, SIGTERM) == 0, "kill");
    (void)cli_wait(relay);
    cli_wait_for_log(words);
}

/* Promise: the kind of connection to the database is reported; a bad certificate is reported as one, which an operator
 * must solve. */
Test(tls, certificates_of_the_database)
{
    start_database();
    await(has_tls, (void *)(uintptr_t)pg_fixture_dsn(), "the server has TLS", PATIENCE_S);
    port = cli_free_port();
    check_database("sslmode=disable", "without TLS");
    check_database("sslmode=require",
                   "TLSv1.3, the certificate of \"CN=localhost\" verified by nobody");
    check_database("sslmode=verify-ca sslrootcert=db.pem",
                   "TLSv1.3, the certificate of \"CN=localhost\" verified: signed by "
                   "\"CN=localhost\", whatever its name");
    check_database("sslmode=verify-full sslrootcert=db.pem", "\"CN=localhost\", and for this host");
    check_database("sslmode=verify-full sslrootcert=ca.pem",
                   "certificate verify failed; docs/TLS.md says");
    check_database("host=127.0.0.1 sslmode=verify-full sslrootcert=db.pem",
                   "does not match host name \"127.0.0.1\"; docs/TLS.md says");
    expect_log("sslmode=verify-full sslrootcert=ca.pem", "certificate verify failed");
    expect_log("sslmode=verify-full sslrootcert=ca.pem", "level=error event=source_lost");
    cr_assert_eq(cli("run -c relay.conf --check-config"), 0);
    check(strstr(cli_stdout(), "warning") == NULL, "%s", cli_stdout());
    servers_stop();
}

/* Copies NAME, of the test's directory, into the server's; nobody else may read it there. */
static void
give_file(PGconn *db, const char *name)
{
    char text[3000];
    char sql[3500];
    FILE *const file = fopen(name, "re");
    check(file != NULL, "%s", name);
    const size_t size = fread(text, 1, sizeof(text) - 1, file);
    check(size > 0 && size < sizeof(text) - 1 && fclose(file) == 0, "%s", name);
    text[size - 1] = '\0'; /* without its last line feed */
    (void)snprintf(sql, sizeof(sql),
                   "copy (select unnest(string_to_array('%s', e'\\n'))) to program 'umask 077; cat "
                   ">%s'",
                   text, name); /* fits */
    pg_exec(db, sql);
}

/* From now on the server shows NAME.pem; waits until it does. */
static void
show_certificate(PGconn *db, const char *name)
{
    char file[40];
    char sql[200];
    (void)snprintf(file, sizeof(file), "%s.pem", name); /* these fit */
    give_file(db, file);
    (void)snprintf(sql, sizeof(sql), "alter system set ssl_cert_file = '%s.pem'", name);
    pg_exec(db, sql);
    (void)snprintf(file, sizeof(file), "%s.key", name);
    give_file(db, file);
    (void)snprintf(sql, sizeof(sql), "alter system set ssl_key_file = '%s.key'", name);
    pg_exec(db, sql);
    pg_exec(db, "select pg_reload_conf()");
}

struct asked {
    const char *options;
    const char *words;
};

static bool
is_said(void *context)
{
    const struct asked *const asked = context;
    write_config("", dsn_with_options(asked->options));
    (void)cli("check -c relay.conf");
    return strstr(cli_stdout(), asked->words) != NULL;
}

static void
await_said(const char *options, const char *words)
{
    struct asked asked = {options, words};
    await(is_said, &asked, words, PATIENCE_S);
}

/* Promise: an expired certificate is refused; a client certificate logs in; without one, or with one of another authority, the
 * server's reason is reported. */
Test(tls, certificates_of_the_database_and_of_the_relay)
{
    start_database();
    port = cli_free_port();
    PGconn *const db = pg_fixture_connect();
    give_file(db, "ca.pem");
    pg_exec(db, "alter system set ssl_ca_file = 'ca.pem'");
    pg_exec(db, "create role relay login superuser");
    pg_exec(db, "copy (select 'hostssl all relay all cert') to program "
                "'cat - pg_hba.conf >new.conf && mv new.conf pg_hba.conf'");
    show_certificate(db, "expired");
    servers_shell("for i in $(seq 600); do openssl s_client -starttls postgres -connect "
                  "127.0.0.1:$OUTBOX_TEST_PG_PORT -CAfile ca.pem </dev/null 2>&1 | grep -q "
                  "'certificate has expired' && exit 0; sleep 0.1; done; exit 1");
    check_database("sslmode=verify-full sslrootcert=ca.pem", "certificate verify failed");
    check_database("sslmode=require", "\"CN=localhost\" verified by nobody");
    show_certificate(db, "good");
    await_said("sslmode=verify-full sslrootcert=ca.pem",
               "verified: signed by \"CN=ca\", and for this host");
    check_database("user=relay sslmode=verify-full sslrootcert=ca.pem",
                   "connection requires a valid client certificate");
    check_database("user=relay sslmode=verify-full sslrootcert=ca.pem sslcert=client.pem "
                   "sslkey=client.key",
                   "as \"relay\"");
    check_database("user=relay sslmode=verify-full sslrootcert=ca.pem sslcert=self.pem "
                   "sslkey=self.key",
                   "unknown ca");
    check_database("user=relay sslmode=verify-full sslrootcert=ca.pem sslcert=expired.pem "
                   "sslkey=expired.key",
                   "certificate expired");
    PQfinish(db);
    servers_stop();
}
