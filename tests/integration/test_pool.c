/* A connection pool before the server: PgBouncer. It gives a client a session of the server for as long as the client
 * is connected (session mode, which is enough for the ownership), or for a transaction (which is not). */
#include <criterion/criterion.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/pg_fixture.h"

static PGconn *db;
static pid_t pool;
static char through[300]; /* how to reach the database through the pool */

#define POOLED                                                                                 \
    "a connection pool in transaction mode stands before the server, and the ownership needs " \
    "the session: connect to the server itself, or by a pool in session mode"

static void
set_up(void)
{
    cli_enter();
    db = pg_fixture_create();
    pg_fixture_load_outbox(db);
}

static void
tear_down(void)
{
    if (pool > 0) {
        (void)kill(pool, SIGKILL);    /* it may have ended already */
        (void)waitpid(pool, NULL, 0); /* whatever its status */
    }
    pg_fixture_drop(db);
    cli_leave();
}

TestSuite(pool, .init = set_up, .fini = tear_down, .timeout = 120);

/* PgBouncer refuses to run as root: so it becomes another user, and gets the directory. That resets PR_SET_PDEATHSIG,
 * which is therefore set afterwards. */
static void
give_up_root(void)
{
    const struct passwd *const user = getpwnam("postgres");
    if (user == NULL || chown(".", user->pw_uid, user->pw_gid) != 0 ||
        chown("pool.ini", user->pw_uid, user->pw_gid) != 0 ||
        initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        _exit(126);
    }
}

static _Noreturn void
become_pool(pid_t parent)
{
    char program[] = "/usr/sbin/pgbouncer";
    char quiet[] = "-q";
    char file[] = "pool.ini";
    char *const argv[] = {program, quiet, file, NULL};
    if (geteuid() == 0) {
        give_up_root();
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) {
        (void)execv(program, argv); /* returns only if it fails */
    }
    _exit(127);
}

/* Starts the pool with these lines in its file, and waits until it serves. */
static void
start(const char *words)
{
    const unsigned short port = cli_free_port();
    const pid_t parent = getpid();
    cli_write("pool.ini",
              "[databases]\n"
              "* = host=%s port=%s user=%s password=%s\n"
              "[pgbouncer]\n"
              "listen_addr = 127.0.0.1\nlisten_port = %u\nunix_socket_dir =\n"
              "auth_type = any\n%s\n",
              getenv("OUTBOX_TEST_PG_HOST"), getenv("OUTBOX_TEST_PG_PORT"),
              getenv("OUTBOX_TEST_PG_USER"), getenv("OUTBOX_TEST_PG_PASSWORD"), port, words);
    pool = fork();
    if (pool == 0) {
        become_pool(parent);
    }
    cr_assert_gt(pool, 0);
    (void)snprintf(through, sizeof(through), "host=127.0.0.1 port=%u dbname=%s user=postgres", port,
                   PQdb(db)); /* fits */
    for (int i = 0; PQping(through) != PQPING_OK; i++) {
        cr_assert_lt(i, 3000, "the pool does not serve");
        cr_assert_eq(waitpid(pool, NULL, WNOHANG), 0, "the pool has ended");
        (void)usleep(10000); /* shorter is fine */
    }
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = postgres mode = poll broker = main exchange = \"amq.topic\"\n"
              "  dsn = \"%s\" }\n",
              getenv("OUTBOX_TEST_AMQP_URI"), through);
}

static PGconn *
connect_through(void)
{
    PGconn *const conn = PQconnectdb(through);
    cr_assert_eq(PQstatus(conn), CONNECTION_OK, "%s", PQerrorMessage(conn));
    return conn;
}

static void
end(pid_t relay)
{
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);
}

static void
expect_check(int status, const char *line)
{
    const int got = cli("check -c relay.conf");
    cr_assert_not_null(strstr(cli_stdout(), line), "%s", cli_stdout());
    cr_assert_eq(got, status, "%s", cli_stdout());
}

Test(pool, session_mode_is_no_problem)
{
    start("pool_mode = session");
    expect_check(
        0,
        "ok       source \"orders\": the connection pool before the server is in session mode\n");
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_owned");
    end(relay);
}

#define FOUND                                                                                   \
    "problem  source \"orders\": a connection pool in transaction mode stands before the "      \
    "server, and the ownership of the outbox needs the session: connect to the server itself, " \
    "or by a pool in session mode\n"

/* Whichever free session the pool chooses: the one that was used last, or, in the next test, the next in turn. */
Test(pool, check_finds_transaction_mode)
{
    start("pool_mode = transaction");
    expect_check(1, FOUND);
}

Test(pool, check_finds_transaction_mode_that_takes_turns)
{
    start("pool_mode = transaction\nmin_pool_size = 2\nserver_round_robin = 1");
    PGconn *const one = connect_through();
    PGconn *const two = connect_through();
    pg_exec(one, "begin");
    pg_exec(two, "begin; commit");
    pg_exec(one, "commit");
    expect_check(1, FOUND);
    PQfinish(one);
    PQfinish(two);
}

Test(pool, check_does_not_wait_for_a_session_that_is_not_free)
{
    start("pool_mode = session\ndefault_pool_size = 1");
    expect_check(0,
                 "advice   source \"orders\": a connection pool stands before the server and has "
                 "no session free for a second connection");
}

/* Promise: with a pool in transaction mode a relay does not begin to work, even if it is the only client and always
 * gets the same session. */
Test(pool, a_relay_alone_is_refused)
{
    start("pool_mode = transaction");
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("error=\"" POOLED);
    /* pg_locks also has the locks of other databases, where relays of other tests work. */
    cr_assert_eq(
        pg_query_int(db, "select count(*) from pg_locks where locktype = 'advisory' and database = "
                         "(select oid from pg_database where datname = current_database())"),
        0);
    end(relay);
}

/* The relay cannot get a second session to compare with, but a session of its own is all that it needs. */
Test(pool, a_relay_in_the_only_session_works)
{
    start("pool_mode = session\ndefault_pool_size = 1");
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_owned");
    end(relay);
}

/* One session of the server: with more, the pool would give the second client another one whenever the relay has just
 * used the first. And two clients: so a relay cannot open a second connection when it starts, and cannot recognise the
 * pool. */
#define ONE_SESSION "pool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 2"

static void
expect_noticed(const char *statement)
{
    start(ONE_SESSION);
    PGconn *const other = connect_through();
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_owned");
    pg_exec(other, statement);
    cli_wait_for_log("error=\"" POOLED);
    PQfinish(other);
    end(relay);
}

/* Promise: a relay that lost its session to the pool says so. Here its prepared statements still exist, and only the
 * ownership is gone. */
Test(pool, a_relay_whose_ownership_is_gone_says_why)
{
    expect_noticed("select pg_advisory_unlock_all()");
}

/* The second relay meets the session as the first one left it, and must not report missing tables. */
Test(pool, a_second_relay_in_the_same_session_says_why)
{
    start(ONE_SESSION);
    PGconn *const other = connect_through();
    const pid_t first = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_owned");
    PQfinish(other);
    const pid_t second = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_lost");
    cli_wait_for_log("error=\"" POOLED);
    end(second);
    end(first);
}

/* Here the ownership is there, but the prepared statements are gone. PgBouncer 1.21 or later would prepare them again. */
Test(pool, a_relay_whose_session_was_reset_says_why)
{
    expect_noticed("reset all; deallocate all");
}

/* Here no request fails, but the settings of session.sql are gone: policies may hide rows, and names may have other
 * meanings. */
Test(pool, a_relay_whose_settings_were_reset_says_why)
{
    expect_noticed("reset all");
}

/* Promise: of two relays that the pool gives the same session, the second does not take the lock that the session has
 * already. The lock is all that shows the first one, which is stopped and could not notice anything itself. */
Test(pool, an_ownership_is_not_shared)
{
    start(ONE_SESSION);
    PGconn *const other = connect_through();
    const pid_t first = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_owned");
    cr_assert_eq(kill(first, SIGSTOP), 0);
    pg_exec(other, "reset all; deallocate all");
    PQfinish(other);
    const pid_t second = cli_start("run -c relay.conf");
    cli_wait_for_log("error=\"" POOLED);
    cr_assert_null(strstr(cli_stderr(), "event=source_owned"), "%s", cli_stderr());
    end(second);
    cr_assert_eq(kill(first, SIGCONT), 0);
    end(first);
}
