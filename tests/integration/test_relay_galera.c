/* A Galera cluster of two servers, and applications that write to both at once. Rows of the second come to the first with ids that
 * the first has not given out. OUTBOX_TEST_MODE: auto, on servers whose log lacks what the other writes, so that the relay polls;
 * or tail, where the log has it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/mysql_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* Without the sweep a row that the relay misses is lost. */
#define NO_SWEEP "sweep_interval = \"1h\"\n"
#define SHORT_LEASE NO_SWEEP "takeover = \"4s\"\n"

/* Writers at the second server are a process of their own, which ends when the pipe is closed. */
struct writers {
    struct traffic *first;
    pid_t second;
    int leash;
};

static unsigned second_port;

static bool
reads_log(void)
{
    return strcmp(relay_mode(), "tail") == 0;
}

static void
find_second_port(void)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/second/mariadb.ports", servers_directory()); /* fits */
    FILE *file = fopen(path, "r");
    check(file != NULL && fscanf(file, "mysql=%u", &second_port) == 1, "no port in %s", path);
    (void)fclose(file);
}

static bool
second_is_synced(void *context)
{
    (void)context;
    MYSQL *conn = mysql_fixture_connect_at(second_port);
    const bool synced =
        strcmp(mysql_fixture_text(conn,
                                  "select group_concat(variable_value order by variable_name) "
                                  "from information_schema.global_status where variable_name "
                                  "in ('wsrep_cluster_size', 'wsrep_local_state_comment')"),
               "2,Synced") == 0;
    mysql_close(conn);
    return synced;
}

static void
open_cluster(void)
{
    servers_start("mariadb");
    servers_do_second("start mariadb");
    find_second_port();
    servers_shell("\"$(dirname '%s')\"/galera '%s' '%s/second' log-slave-updates=%s",
                  test_env("OUTBOX_TEST_SERVICES"), servers_directory(), servers_directory(),
                  reads_log() ? "ON" : "OFF");
    await(second_is_synced, NULL, "there are two nodes", PATIENCE_S);
    scene_open();
    /* What this connection reads is what is committed in the cluster. */
    scene_exec("set wsrep_sync_wait = 1");
}

TestSuite(relay_galera, .init = open_cluster, .fini = scene_close_own, .timeout = 280);

/* ---- applications ---------------------------------------------------------------------------------- */

/* Each server has its own keys. With two relays and the same keys at both servers, all commits of the cluster waited for ever in 3 of
 * 12 runs (MariaDB 10.11.19, galera 26.4.23). */

static struct traffic *
start_traffic(unsigned first_key)
{
    return traffic_start(&(struct traffic_options){.routing_key = scene.queue,
                                                   .writers = 4,
                                                   .keys = 20,
                                                   .first_key = first_key,
                                                   .rollback_percent = 5,
                                                   .open_us_max = 20000,
                                                   .pause_us_max = 10000});
}

static _Noreturn void
write_at_second(int end, pid_t parent)
{
    char byte;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(127);
    }
    mysql_fixture_move(second_port);
    struct traffic *traffic = start_traffic(20);
    while (read(end, &byte, 1) < 0 && errno == EINTR) {
    }
    traffic_end(traffic);
    _exit(0);
}

static struct writers
start_writers(void)
{
    int ends[2];
    struct writers writers = {.second = 0};
    const pid_t parent = getpid();
    traffic_set_up(scene.db);
    check(pipe(ends) == 0, "pipe: %s", strerror(errno));
    writers.second = fork();
    check(writers.second >= 0, "fork: %s", strerror(errno));
    if (writers.second == 0) {
        (void)close(ends[1]);
        write_at_second(ends[0], parent);
    }
    (void)close(ends[0]);
    writers.leash = ends[1];
    writers.first = start_traffic(0);
    return writers;
}

static void
end_writers(struct writers *writers)
{
    int status = 0;
    (void)close(writers->leash); /* closing it is the signal */
    check(waitpid(writers->second, &status, 0) == writers->second && status == 0,
          "the writers at the second server failed");
    traffic_end(writers->first);
}

/* So many messages more are committed by both. */
static void
await_messages(int64_t count)
{
    scene_await("applications write", "select sum(seq) >= %lld from account",
                (long long)(traffic_committed(scene.db) + count));
}

/* ---- tests ----------------------------------------------------------------------------------------- */

/* Where the log lacks rows, it says so, and polls. */
static void
start_relay(const char *source)
{
    scene.relay = relay_start(&(struct relay_options){.source = source});
    relay_await_work(scene.relay);
    if (reads_log()) {
        scene_await_tailing();
    } else {
        (void)relay_await_log(scene.relay, "event=not_tailing", "start it with log_slave_updates");
    }
}

/* Where the first relay has its lock, the second is not. */
static struct relay *
start_other_relay(void)
{
    char dsn[512];
    (void)snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%u user=%s password=%s dbname=%s",
                   second_port, test_env("OUTBOX_TEST_MYSQL_USER"),
                   test_env("OUTBOX_TEST_MYSQL_PASSWORD"), db_database()); /* fits */
    return relay_start(&(struct relay_options){.dsn = dsn, .source = SHORT_LEASE});
}

static bool
stands_by(const struct relay *relay)
{
    return relay_logged(relay, "works the same outbox through another server") > 0 &&
           relay_logged(relay, "event=source_standby") > 0;
}

static bool
one_stands_by(void *other)
{
    return stands_by(scene.relay) || stands_by(other);
}

static bool
is_owned_again(void *relay)
{
    return relay_logged(relay, "event=source_owned") > 1;
}

/* Promise: a relay on the other server, where the lock of the first is not known, is noticed. One of both says so and stands by,
 * until the other has ended; what both have sent until then comes twice. */
Test(relay_galera, a_relay_on_the_other_server_is_noticed)
{
    start_relay(SHORT_LEASE);
    struct writers writers = start_writers();
    struct relay *other = start_other_relay();
    (void)relay_await_log(other, "event=source_owned", NULL); /* is enough */
    await(one_stands_by, other, "one of both relays stands by", PATIENCE_S);
    await_messages(500);
    struct relay *owner = stands_by(other) ? scene.relay : other;
    struct relay *standby = owner == other ? scene.relay : other;
    check(!stands_by(owner), "both stand by");
    relay_drain(owner);
    await(is_owned_again, standby, "the other takes over", PATIENCE_S);
    await_messages(500);
    end_writers(&writers);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(standby);
    relay_free(other);
}
