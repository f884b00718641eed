/* The part of standby_fixture.h for PostgreSQL. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/pg_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/standby_fixture_private.h"

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

static int64_t
ask(const char *dsn, const char *sql)
{
    PGconn *conn = PQconnectdb(dsn);
    check(PQstatus(conn) == CONNECTION_OK, "%s", PQerrorMessage(conn));
    const int64_t answer = strtoll(pg_query_text(conn, sql), NULL, 10);
    PQfinish(conn);
    return answer;
}

static bool copies_slots;

/* From 17 on a replica copies the slots that are marked so. */
static bool
can_copy_slots(void)
{
    return ask(test_env("OUTBOX_TEST_PG_DSN"),
               "select current_setting('server_version_num')::int8") >= 170000;
}

static bool
knows_place(void)
{
    return copies_slots;
}

static void
copy_slots(void)
{
    run_on(test_env("OUTBOX_TEST_PG_DSN"),
           "select pg_create_physical_replication_slot('second', true)");
    servers_shell(
        AS_SERVER
        "$as tee -a second/postgres/data/postgresql.auto.conf >/dev/null <<CONF\n"
        "primary_slot_name = 'second'\nhot_standby_feedback = on\nsync_replication_slots = on\n"
        "CONF\n",
        servers_directory());
}

struct place {
    char dsn[512]; /* of the replica */
    char copied[300];
};

static bool
has_copied_place(void *context)
{
    const struct place *place = context;
    return ask(place->dsn, place->copied) == 1;
}

static void
await_place(void)
{
    struct place place;
    char port[16];
    read_port(port, sizeof(port));
    dsn_of_ports(place.dsn, sizeof(place.dsn), "127.0.0.1", port, "");
    PGconn *conn = PQconnectdb(test_env("OUTBOX_TEST_PG_DSN"));
    (void)snprintf(
        place.copied, sizeof(place.copied),
        "select count(*) from pg_replication_slots where slot_type = 'logical' and not temporary "
        "and "
        "confirmed_flush_lsn >= '%s'",
        pg_query_text(conn, "select max(confirmed_flush_lsn) from pg_replication_slots"));
    PQfinish(conn);
    await(has_copied_place, &place, "the replica has copied the slot", PATIENCE_S);
}

static void
follow(bool with_place)
{
    char port[16];
    char ports[64];
    char dsn[512];
    servers_do_second("start postgres");
    servers_do_second("stop --keep postgres");
    servers_shell(
        AS_SERVER
        "rm -rf second/postgres/data && PGPASSWORD=%s $as %s/pg_basebackup "
        "-d dbname=postgres -h 127.0.0.1 -p %s -U %s -D second/postgres/data -R -c fast && "
        "$as tee -a second/postgres/data/postgresql.auto.conf >/dev/null <<CONF\n"
        "port = $pg\nunix_socket_directories = '$PWD/second/postgres'\n"
        "cluster_name = 'second'\nCONF\n",
        servers_directory(), test_env("OUTBOX_TEST_PG_PASSWORD"), test_env("OUTBOX_TEST_PG_BIN"),
        test_env("OUTBOX_TEST_PG_PORT"), test_env("OUTBOX_TEST_PG_USER"));
    copies_slots = with_place && can_copy_slots();
    if (copies_slots) {
        copy_slots();
    }
    servers_do_second("start postgres");
    wait_for_commits();
    read_port(port, sizeof(port));
    (void)snprintf(ports, sizeof(ports), "%s,%s", test_env("OUTBOX_TEST_PG_PORT"), port);
    dsn_of_ports(dsn, sizeof(dsn), "127.0.0.1,127.0.0.1", ports, "target_session_attrs=read-write");
    check(setenv("OUTBOX_TEST_PG_DSN", dsn, 1) == 0, "out of memory");
}

static void
promote(void)
{
    char port[16];
    char dsn[512];
    read_port(port, sizeof(port));
    dsn_of_ports(dsn, sizeof(dsn), "127.0.0.1", port, "");
    servers_do("kill postgres");
    run_on(dsn, "select pg_promote()");
}

static void
restore(void)
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

static void
set_standbys(const char *names)
{
    scene_exec("alter system set synchronous_standby_names = '%s'", names);
    db_exec(scene.db, "select pg_reload_conf()");
}

static void
send(PGconn *conn)
{
    check(PQsendQuery(conn, "select pg_logical_emit_message(true, 'test', '')") == 1, "%s",
          PQerrorMessage(conn));
}

/* Commits something irrelevant repeatedly, until a commit waits for a standby: the server applies the setting a little
 * later than its sessions. */
static bool
commits_wait(void *context)
{
    PGconn *conn = context;
    check(PQconsumeInput(conn) == 1, "%s", PQerrorMessage(conn));
    while (!PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        if (result == NULL) {
            send(conn);
        }
        PQclear(result);
    }
    return scene_count("select count(*) from pg_stat_activity where pid = %d and "
                       "wait_event = 'SyncRep'",
                       PQbackendPID(conn)) == 1;
}

static PGconn *probe;

static void
hold_commits(void)
{
    probe = pg_fixture_connect();
    set_standbys("missing");
    await(commits_wait, probe, "commits wait for the standby", PATIENCE_S);
}

static void
let_commits_go(void)
{
    set_standbys("");
    PQfinish(probe);
}

const struct standby_ways standby_ways_postgres = {
    .follow = follow,
    .promote = promote,
    .knows_place = knows_place,
    .await_place = await_place,
    .promoted = {"has been promoted or restored since (timeline 00000002", "does not exist"},
    .restore = restore,
    .restored = {"another database cluster than before", "does not exist"},
    .hold_commits = hold_commits,
    .let_commits_go = let_commits_go,
};
