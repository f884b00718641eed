/* Two hundred idle sources of one server in one relay: what they cost the relay and the servers, before they have carried
 * anything and after. The limits leave room for a machine that does other things as well; the figures are printed. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/broker_fixture.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/servers_fixture.h"

#define SOURCES 200
#define MESSAGES 100
/* With MariaDB and MySQL each source has a thread more for each of its sessions, and their client library. */
#define RSS_KIB_MAX ((db_is_mysql() ? 2048 : 1024) * SANITIZED_FACTOR)
/* Of a core, for each source. */
#define CPU_PERCENT_MAX (0.15 * SANITIZED_FACTOR)
/* Until a source counts as quiet, and a little more. */
#define QUIET_S 75
#define MEASURED_S 30

static struct db *db;
static struct broker *broker;
static pid_t relay;

static void
set_up(void)
{
    char services[64];
    (void)snprintf(services, sizeof(services), "%s rabbitmq", db_server()); /* fits */
    servers_start(services);
    servers_restart_with("max_connections = 500");
    cli_enter();
    db = db_create();
    broker = broker_open(NULL);
    broker_declare_small_queue(broker, "many", 10 * SOURCES * MESSAGES);
}

static void
tear_down(void)
{
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);
    broker_close(broker);
    db_drop(db);
    cli_leave();
    servers_stop();
}

TestSuite(relay_many, .init = set_up, .fini = tear_down, .timeout = 1200);

static void
configure(void)
{
    char sql[100];
    char path[64];
    cr_assert_eq(mkdir("conf.d", 0700), 0);
    cli_write("relay.conf", "include = \"conf.d\"\nbroker main { uri = \"%s\" }\n",
              test_env("OUTBOX_TEST_AMQP_URI"));
    for (int i = 0; i < SOURCES; i++) {
        (void)snprintf(sql, sizeof(sql), "create %s many%03d",
                       db_is_mysql() ? "database" : "schema", i);      /* fits */
        (void)snprintf(path, sizeof(path), "conf.d/many%03d.conf", i); /* fits */
        db_exec(db, sql);
        cli_write(path,
                  "source many%03d { kind = %s mode = auto broker = main dsn = \"%s%s%03d%s\" }\n",
                  i, db_kind(), db_dsn(),
                  db_is_mysql() ? " dbname=many" : " options='-c search_path=many", i,
                  db_is_mysql() ? "" : "'"); /* fits */
    }
}

static unsigned
logged(const char *text)
{
    char line[4096];
    unsigned count = 0;
    FILE *const log = fopen("log", "re");
    while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
        count += strstr(line, text) != NULL ? 1 : 0;
    }
    cr_assert(log == NULL || fclose(log) == 0); /* it is not there at once */
    return count;
}

static bool
are_all_owned(void *context)
{
    (void)context; /* none needed */
    return logged("event=source_owned") == SOURCES;
}

static bool
do_four_tail(void *context)
{
    (void)context; /* none needed */
    return logged("event=tailing ") == 4;
}

static bool
has_all_sent(void *context)
{
    (void)context; /* none needed */
    return broker_count(broker, "many") >= SOURCES * MESSAGES;
}

/* The value of a line of /proc/PID/status, in KiB. */
static long
status_kib(pid_t process, const char *name)
{
    char path[64];
    char line[256];
    long value = -1;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", process); /* fits */
    FILE *const file = fopen(path, "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = strtol(line + strlen(name) + 1, NULL, 10);
        }
    }
    cr_assert_eq(fclose(file), 0);
    return value;
}

/* The ticks of a process, and its parent; 0 if it is gone. */
static long
ticks_of(const char *process, long *ret_parent)
{
    char path[300];
    char line[1024] = "";
    long ticks[2] = {0, 0};
    (void)snprintf(path, sizeof(path), "/proc/%s/stat", process); /* fits */
    FILE *const file = fopen(path, "re");
    *ret_parent = 0;
    if (file != NULL && fgets(line, sizeof(line), file) != NULL && strrchr(line, ')') != NULL) {
        (void)sscanf(strrchr(line, ')') + 2, "%*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld",
                     ret_parent, &ticks[0], &ticks[1]); /* zeros are fine */
    }
    if (file != NULL) {
        cr_assert_eq(fclose(file), 0);
    }
    return ticks[0] + ticks[1];
}

static pid_t
server_of(const char *service)
{
    char path[300];
    char text[64] = "";
    (void)snprintf(path, sizeof(path), "%s/%s.pid", servers_directory(), service); /* fits */
    FILE *const file = fopen(path, "re");
    cr_assert(file != NULL && fgets(text, sizeof(text), file) != NULL && fclose(file) == 0);
    return (pid_t)strtol(text, NULL, 10);
}

/* Of a process and its children, which here have none. */
static long
ticks_with_children(pid_t process)
{
    long sum = 0;
    DIR *const directory = opendir("/proc");
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        long parent;
        if (isdigit((unsigned char)entry->d_name[0])) {
            const long ticks = ticks_of(entry->d_name, &parent);
            const bool own = parent == process || strtol(entry->d_name, NULL, 10) == process;
            sum += own ? ticks : 0;
        }
    }
    cr_assert_eq(closedir(directory), 0);
    return sum;
}

struct cost {
    long relay;
    long database;
    long broker;
};

static struct cost
cost(void)
{
    return (struct cost){ticks_with_children(relay), ticks_with_children(server_of(db_server())),
                         ticks_with_children(server_of("rabbitmq"))};
}

static double
percent(long ticks)
{
    return 100.0 * (double)ticks / (double)sysconf(_SC_CLK_TCK) / MEASURED_S / SOURCES;
}

/* Sleeps: that nothing happens meanwhile is what is measured. */
static void
measure(const char *when)
{
    cr_assert_eq(sleep(QUIET_S), 0);
    const struct cost before = cost();
    cr_assert_eq(sleep(MEASURED_S), 0);
    const struct cost after = cost();
    const long kib = status_kib(relay, "VmRSS:") / SOURCES;
    const double own = percent(after.relay - before.relay);
    const double database = percent(after.database - before.database);
    const double of_broker = percent(after.broker - before.broker);
    (void)printf("%s, each of %d sources of %s: %ld KiB; of a core: relay %.4f %%, %s %.4f %%, "
                 "rabbitmq %.4f %%\n",
                 when, SOURCES, db_kind(), kib, own, db_server(), database,
                 of_broker); /* a figure */
    cr_assert_leq(kib, RSS_KIB_MAX);
    cr_assert_leq(own + database, CPU_PERCENT_MAX);
}

static void
write_messages(void)
{
    char sql[400];
    for (int i = 0; i < SOURCES; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "insert into many%03d.outbox (routing_key, payload) "
                       "select 'many', 'x' from " DB_SERIES("1", "%d"),
                       i, MESSAGES); /* fits */
        db_exec(db, sql);
    }
}

Test(relay_many, idle_sources_cost_little_and_do_not_all_tail)
{
    configure();
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stderr());
    relay = cli_start("run -c relay.conf");
    await(are_all_owned, NULL, "all outboxes are owned", 300);
    await(do_four_tail, NULL, "four of them tail", 300);
    measure("before any message");
    write_messages();
    await(has_all_sent, NULL, "all messages have come", 300);
    measure("after 100 messages");
    cr_assert_eq(logged("event=tailing "), 4);
}
