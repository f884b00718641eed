#include "tests/integration/standby_fixture.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/pg_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/servers_fixture.h"

#define AS_SERVER "as=$OUTBOX_TEST_PG_AS; cd '%s'; . ./second/postgres.ports; "

static void
dsn_of_ports(char *dsn, size_t size, const char *hosts, const char *ports, const char *more)
{
    (void)snprintf(dsn, size, "host=%s port=%s user=%s password=%s dbname=postgres %s", hosts,
                   ports, test_env("OUTBOX_TEST_PG_USER"), test_env("OUTBOX_TEST_PG_PASSWORD"),
                   more);
}

static void
read_port(char *port, size_t size)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/second/postgres.ports", servers_directory());
    FILE *file = fopen(path, "r");
    check(file != NULL && fgets(path, sizeof(path), file) != NULL, "%s cannot be read", path);
    (void)fclose(file);
    check(sscanf(path, "pg=%15[0-9]", port) == 1 && size >= 16, "no port: %s", path);
}

static void
run_on(const char *dsn, const char *sql)
{
    PGconn *conn = PQconnectdb(dsn);
    check(PQstatus(conn) == CONNECTION_OK, "%s", PQerrorMessage(conn));
    pg_exec(conn, sql);
    PQfinish(conn);
}

static void
wait_for_commits(void)
{
    const char *dsn = test_env("OUTBOX_TEST_PG_DSN");
    run_on(dsn, "alter system set synchronous_standby_names = 'second'");
    run_on(dsn, "select pg_reload_conf()");
}

void
standby_follow(void)
{
    char port[16];
    char ports[64];
    char dsn[512];
    servers_do_second("start postgres");
    servers_do_second("stop --keep postgres");
    servers_shell(
        AS_SERVER "rm -rf second/postgres/data && PGPASSWORD=%s $as %s/pg_basebackup "
                  "-h 127.0.0.1 -p %s -U %s -D second/postgres/data -R -c fast && "
                  "$as tee -a second/postgres/data/postgresql.auto.conf >/dev/null <<CONF\n"
                  "port = $pg\nunix_socket_directories = '$PWD/second/postgres'\n"
                  "cluster_name = 'second'\nCONF\n",
        servers_directory(), test_env("OUTBOX_TEST_PG_PASSWORD"), test_env("OUTBOX_TEST_PG_BIN"),
        test_env("OUTBOX_TEST_PG_PORT"), test_env("OUTBOX_TEST_PG_USER"));
    servers_do_second("start postgres");
    wait_for_commits();
    read_port(port, sizeof(port));
    (void)snprintf(ports, sizeof(ports), "%s,%s", test_env("OUTBOX_TEST_PG_PORT"), port);
    dsn_of_ports(dsn, sizeof(dsn), "127.0.0.1,127.0.0.1", ports, "target_session_attrs=read-write");
    check(setenv("OUTBOX_TEST_PG_DSN", dsn, 1) == 0, "out of memory");
}

void
standby_promote(void)
{
    char port[16];
    char dsn[512];
    servers_do("kill postgres");
    read_port(port, sizeof(port));
    dsn_of_ports(dsn, sizeof(dsn), "127.0.0.1", port, "");
    run_on(dsn, "select pg_promote()");
}

void
standby_restore(void)
{
    PGconn *conn = pg_fixture_connect();
    char database[64];
    (void)snprintf(database, sizeof(database), "%s", PQdb(conn));
    PQfinish(conn);
    servers_do_second("start postgres");
    servers_shell(
        AS_SERVER "export PGPASSWORD=%s PGUSER=%s PGHOST=127.0.0.1; "
                  "$as '%s/pg_dump' -p %s --create %s | psql -X -q -p $pg -d postgres >/dev/null",
        servers_directory(), test_env("OUTBOX_TEST_PG_PASSWORD"), test_env("OUTBOX_TEST_PG_USER"),
        test_env("OUTBOX_TEST_PG_BIN"), test_env("OUTBOX_TEST_PG_PORT"), database);
    servers_do("stop --keep postgres");
    servers_do_second("stop --keep postgres");
    servers_shell(AS_SERVER "echo pg=%s >second/postgres.ports; "
                            "echo 'port = %s' >>second/postgres/data/postgresql.conf",
                  servers_directory(), test_env("OUTBOX_TEST_PG_PORT"),
                  test_env("OUTBOX_TEST_PG_PORT"));
    servers_do_second("start postgres");
}
