/* Promise: what /healthz, /readyz and /metrics say of a source is true, in every outage of its servers, and comes at once. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/http_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"

#define STUCK_IS_UNREADY "stuck_unready = true"

#define BEHIND "outbox_relay_log_behind_bytes{source=\"test\"}"

TestSuite(http_states, .timeout = 280);

static void
start(const char *keys)
{
    scene.relay = relay_start(
        &(struct relay_options){.global = http_section(keys), .exchange = scene.exchange});
    (void)relay_await_log(scene.relay, "event=http_listening", NULL); /* is enough */
}

static void
expect_alive(void)
{
    const struct http_reply reply = http_get("/healthz");
    check(reply.status == 200, "not alive: %u %s", reply.status, reply.body);
}

static void
write_message(const char *body)
{
    scene_exec("insert into outbox (routing_key, payload) values ('%s', '%s')", scene.queue, body);
}

/* ---- outages of the servers ---- */

static void
open_own_scene(void)
{
    char services[60];
    (void)snprintf(services, sizeof(services), "rabbitmq %s", db_server()); /* fits */
    servers_start(services);
    scene_open();
}

static void
expect_start_without_database(void)
{
    servers_do_database("stop --keep");
    start(STUCK_IS_UNREADY);
    (void)http_await("/readyz", 503, "test: starting: "); /* is enough */
    http_await_metric("outbox_relay_state{source=\"test\",state=\"starting\"} 1");
    expect_alive();
    servers_do_database("start");
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
    http_await_metric("outbox_relay_state{source=\"test\",state=\"owned\"} 1");
    http_await_metric("outbox_relay_ownerships_total{source=\"test\"} 1");
    scene_reconnect();
}

static void
expect_broker_away(void)
{
    servers_do("stop --keep rabbitmq");
    (void)http_await("/readyz", 503, ": no connection to the broker\n"); /* is enough */
    http_await_metric("outbox_relay_paused{source=\"test\",reason=\"broker\"} 1");
    http_await_metric("outbox_relay_lanes_ready{source=\"test\"} 0");
    check(http_metric("outbox_relay_broker_losses_total{source=\"test\"}") > 0, "no loss counted");
    expect_alive();
    servers_do("start rabbitmq");
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
    http_await_metric("outbox_relay_paused{source=\"test\",reason=\"broker\"} 0");
    scene_reconnect();
}

static void
expect_broker_blocked(void)
{
    servers_do("alarm on");
    write_message("blocked");                               /* the broker blocks who publishes */
    (void)http_await("/readyz", 503, "connection.blocked"); /* is enough */
    http_await_metric("outbox_relay_paused{source=\"test\",reason=\"blocked\"} 1");
    http_await_metric("outbox_relay_in_flight_messages{source=\"test\"} 1");
    check(http_metric("outbox_relay_oldest_in_flight_seconds{source=\"test\"}") > 0, "no age");
    expect_alive();
    servers_do("alarm off");
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
    http_await_metric("outbox_relay_confirmed_messages_total{source=\"test\"} 1");
    http_await_metric("outbox_relay_confirm_seconds_count{source=\"test\"} 1");
    check(http_metric("outbox_relay_blocked_seconds_total{source=\"test\"}") > 0, "not blocked");
}

static void
expect_database_away(void)
{
    servers_do_database("stop --keep");
    (void)http_await("/readyz", 503, "test: stuck for "); /* is enough */
    http_await_metric("outbox_relay_state{source=\"test\",state=\"lost\"} 1");
    http_await_metric("outbox_relay_database_losses_total{source=\"test\"} 1");
    expect_alive();
    servers_do_database("start");
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
    http_await_metric("outbox_relay_ownerships_total{source=\"test\"} 2");
    scene_reconnect();
}

/* A server that is there, and does not answer, keeps nobody waiting. */
static void
expect_frozen_database(void)
{
    servers_do_database("pause");
    for (unsigned i = 0; i < 20; i++) {
        check(http_get("/metrics").status == 200, "/metrics");
        check(http_get("/readyz").status != 0, "/readyz");
    }
    expect_alive();
    servers_do_database("resume");
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
}

/* One message is in flight, and stays there. */
static void
put_in_flight(const char *body)
{
    servers_do("alarm on");
    write_message(body);
    http_await_metric("outbox_relay_in_flight_messages{source=\"test\"} 1");
}

static void
let_through(void)
{
    servers_do("alarm off");
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
}

static void
expect_repetitions(void)
{
    put_in_flight("its ownership ends");
    db_end_session(scene.db, db_owner(scene.db));
    http_await_metric(
        "outbox_relay_repeated_messages_total{source=\"test\",reason=\"ownership\"} 1");
    let_through();
    http_await_metric(
        "outbox_relay_repeated_messages_total{source=\"test\",reason=\"connection\"} 0");
    put_in_flight("its connection ends");
    servers_do("eval '[rabbit_networking:close_connection(Each, <<\"for the test\">>) || "
               "Each <- rabbit_networking:connections()].'");
    http_await_metric(
        "outbox_relay_repeated_messages_total{source=\"test\",reason=\"connection\"} 1");
    let_through();
    http_await_metric(
        "outbox_relay_repeated_messages_total{source=\"test\",reason=\"ownership\"} 1");
    scene_reconnect();
}

Test(http_states, outages, .init = open_own_scene, .fini = scene_close_own)
{
    expect_start_without_database();
    expect_broker_away();
    expect_broker_blocked();
    expect_database_away();
    expect_frozen_database();
    expect_repetitions();
    relay_drain(scene.relay);
}

/* ---- what needs no outage ---- */

Test(http_states, degraded, .init = scene_open_route, .fini = scene_close)
{
    start(NULL);
    relay_await_work(scene.relay);
    scene_exec("insert into outbox (routing_key, payload) select 'nobody', 'x' from " DB_SERIES(
        "1", "200"));
    const struct http_reply reply = http_await("/readyz", 200, "test: stuck for ");
    check(strstr(reply.body, "degraded") != NULL, "%s", reply.body);
    http_await_metric("outbox_relay_paused{source=\"test\",reason=\"degraded\"} 1");
    check(http_metric("outbox_relay_refused_messages_total{source=\"test\",reason=\"returned\"}") >
              0,
          "no refusal counted");
    scene_bind("nobody");
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
    http_await_metric("outbox_relay_settled_messages_total{source=\"test\"} 200");
    check(http_metric("outbox_relay_delivery_seconds_count{source=\"test\"}") > 0, "no delivery");
    relay_drain(scene.relay);
}

/* The owner is without HTTP; of the other one it is asked, by whom it takes over from. */
Test(http_states, standby, .init = scene_open, .fini = scene_close)
{
    struct relay *const owner = relay_start(&(struct relay_options){0});
    relay_await_work(owner);
    start(STUCK_IS_UNREADY);
    (void)http_await("/readyz", 200, "test: standing by\n"); /* is enough */
    http_await_metric("outbox_relay_state{source=\"test\",state=\"standby\"} 1");
    http_await_metric("outbox_relay_standbys{source=\"test\"} 1");
    relay_drain(owner);
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
    http_await_metric("outbox_relay_state{source=\"test\",state=\"owned\"} 1");
    relay_drain(scene.relay);
    relay_free(owner);
}

/* The owner does not reach its broker, and leaves the outbox to another relay, which has no HTTP. */
Test(http_states, an_owner_that_yields, .init = scene_open, .fini = scene_close)
{
    scene.relay = relay_start(&(struct relay_options){.global = http_section(STUCK_IS_UNREADY),
                                                      .source = "yield_after = \"1s\"",
                                                      .uri = "amqp://guest:guest@127.0.0.1:1/"});
    http_await_metric("outbox_relay_state{source=\"test\",state=\"owned\"} 1");
    (void)http_await("/readyz", 503, ": no connection to the broker\n"); /* is enough */
    struct relay *const other = relay_start(&(struct relay_options){0});
    (void)http_await("/readyz", 200, "test: standing by\n"); /* is enough */
    http_await_metric("outbox_relay_state{source=\"test\",state=\"owned\"} 0");
    http_await_metric("outbox_relay_state{source=\"test\",state=\"standby\"} 1");
    http_await_metric("outbox_relay_paused{source=\"test\",reason=\"broker\"} 0");
    relay_drain(scene.relay);
    relay_drain(other);
    relay_free(other);
}

/* What the database knows. The first who asks has it asked. */
Test(http_states, figures_of_the_database, .init = scene_open_route, .fini = scene_close)
{
    start(NULL);
    relay_await_work(scene.relay);
    scene_exec("insert into outbox (routing_key, payload, deliver_after) "
               "values ('%s', 'later', '2100-01-01 00:00:00')",
               scene.queue);
    scene_exec("insert into outbox (routing_key, payload, \"key\") values ('nobody', '1', 'k')");
    scene_await("they are held", "select count(*) = 2 from outbox_held");
    scene_exec("insert into outbox (routing_key, payload, \"key\") values ('%s', '2', 'k')",
               scene.queue);
    scene_await("it waits", "select count(*) = 3 from outbox_held");
    http_await_metric("outbox_relay_held_messages{source=\"test\",state=\"scheduled\"} 1");
    http_await_metric("outbox_relay_held_messages{source=\"test\",state=\"retrying\"} 1");
    http_await_metric("outbox_relay_held_messages{source=\"test\",state=\"waiting\"} 1");
    http_await_metric("outbox_relay_pending_messages{source=\"test\"} 0");
    http_await_metric("outbox_relay_oldest_pending_seconds{source=\"test\"} 0");
    http_await_metric("outbox_relay_held_keys{source=\"test\"} 1");
    relay_drain(scene.relay);
}

#define DEAD "outbox_relay_held_dead_messages{source=\"test\",reason="

/* Each is refused by its own fault, at its only attempt; enough others pass, so that the route is not at fault. */
Test(http_states, why_messages_are_held, .init = scene_open_route, .fini = scene_close)
{
    scene.relay = relay_start(&(struct relay_options){
        .global = http_section(NULL), .exchange = scene.exchange, .source = "max_attempts = 1\n"});
    relay_await_work(scene.relay);
    scene_exec(
        "insert into outbox (routing_key, payload) select '%s', 'x' from " DB_SERIES("1", "50"),
        scene.queue);
    scene_exec("insert into outbox (routing_key, payload) values ('nobody', 'x')");
    scene_exec("insert into outbox (exchange, routing_key, payload) values ('nowhere', 'k', 'x')");
    scene_exec("insert into outbox (exchange, routing_key, payload) "
               "values ('amq.rabbitmq.trace', 'k', 'x')");
    scene_exec(
        "insert into outbox (routing_key, headers, payload) values ('k', '{\"CC\": 1}', 'x')");
    scene_await("all are dead", "select count(*) = 4 from outbox_held where state = 'dead'");
    http_await_metric(DEAD "\"unroutable\"} 1");
    http_await_metric(DEAD "\"no_exchange\"} 1");
    http_await_metric(DEAD "\"denied\"} 1");
    http_await_metric(DEAD "\"invalid\"} 1");
    http_await_metric(DEAD "\"other\"} 0");
    http_await_metric(DEAD "\"more\"} 0");
    http_await_metric(
        "outbox_relay_held_retrying_messages{source=\"test\",reason=\"unroutable\"} 0");
    for (unsigned i = 1; i <= 12; i++) {
        scene_exec(
            "insert into outbox_held (id, message_id, routing_key, payload, created_at, state, "
            "skipped) select 1000 * %u + i, message_id, routing_key, payload, created_at, "
            "state, true from outbox_held, " DB_SERIES(
                "1", "900") " where id = (select min(id) from outbox_held)",
            i);
    }
    http_await_metric(DEAD "\"more\"} 804");
    http_await_metric("outbox_relay_held_messages{source=\"test\",state=\"dead\"} 10804");
    relay_drain(scene.relay);
}

/* Only PostgreSQL has a slot, and tells what vacuum has left. */
Test(http_states, figures_of_the_slot, .init = scene_open_tail, .fini = scene_close)
{
    const double bit = 0.5; /* NAN is neither below nor above */
    scene.relay =
        relay_start(&(struct relay_options){.global = http_section(NULL), .mode = "tail"});
    relay_await_work(scene.relay);
    scene_await_tailing();
    http_await_metric("outbox_relay_tailing{source=\"test\"} 1");
    http_await_metric("outbox_relay_database_figures_up{source=\"test\"} 1");
    const bool slot = http_metric("outbox_relay_log_slot_active{source=\"test\"}") > bit;
    const bool reserved =
        http_metric("outbox_relay_log_slot_condition{source=\"test\",condition=\"reserved\"}") >
        bit;
    const bool vacuum = http_metric("outbox_relay_dead_rows{source=\"test\"}") >= 0;
    check(slot == !db_is_mysql() && reserved == slot && vacuum == slot, "%d %d %d", slot, reserved,
          vacuum);
    check(http_metric(BEHIND) >= 0, "how far the log is read");
    check((http_metric("outbox_relay_log_retained_bytes{source=\"test\"}") >= 0) == slot,
          "what the log keeps");
    relay_drain(scene.relay);
}

static bool
is_far_behind(void *context)
{
    (void)context; /* nothing is needed */
    return http_metric(BEHIND) > 4e6;
}

static bool
is_close_behind(void *context)
{
    (void)context; /* nothing is needed */
    return http_metric(BEHIND) < 1e6;
}

/* Thirty messages of a megabyte, of which one goes a second: the relay reads a few ahead. Half of them are in the next file of the
 * log. */
Test(http_states, how_far_the_log_is_read, .init = scene_open_tail, .fini = scene_close)
{
    scene.relay = relay_start(&(struct relay_options){
        .global = http_section(NULL), .mode = "tail", .source = "rate_max = 1\n"});
    relay_await_work(scene.relay);
    scene_await_tailing();
    if (!db_is_mysql()) {
        scene_exec("alter table outbox alter payload set storage external");
    }
    for (unsigned i = 0; i < 30; i++) {
        scene_exec(
            "insert into outbox (routing_key, payload) values ('%s', bytes(repeat('x', 1000000)))",
            scene.queue);
        if (i == 15 && db_is_mysql()) {
            scene_exec("flush binary logs");
        }
    }
    await(is_far_behind, NULL, "the log is ahead", PATIENCE_S);
    await(is_close_behind, NULL, "the log was read", PATIENCE_S);
    relay_drain(scene.relay);
}

Test(http_states, what_is_pending, .init = scene_open, .fini = scene_close)
{
    scene.relay = relay_start(&(struct relay_options){.global = http_section(NULL),
                                                      .uri = "amqp://guest:guest@127.0.0.1:1/"});
    write_message("1");
    write_message("2");
    http_await_metric("outbox_relay_pending_messages{source=\"test\"} 2");
    check(http_metric("outbox_relay_oldest_pending_seconds{source=\"test\"}") > 0, "no age");
    (void)http_await("/readyz", 200, "test: stuck for "); /* is enough */
    relay_drain(scene.relay);
}

/* ---- a thread that hangs ---- */

/* The thread of the relay's source "test". */
static pid_t
find_worker(void)
{
    char path[300];
    char name[32] = "";
    pid_t found = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)relay_pid(scene.relay)); /* fits */
    DIR *const tasks = opendir(path);
    check(tasks != NULL, "%s", path);
    for (struct dirent *task; found == 0 && (task = readdir(tasks)) != NULL;) {
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/comm", (int)relay_pid(scene.relay),
                       task->d_name); /* fits */
        FILE *const file = fopen(path, "re");
        if (file != NULL && fgets(name, sizeof(name), file) != NULL &&
            strcmp(name, "test\n") == 0) {
            found = (pid_t)strtol(task->d_name, NULL, 10);
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    (void)closedir(tasks);
    check(found > 0, "no thread of this name");
    return found;
}

static bool
is_wait(uint64_t call)
{
    return call == SYS_poll || call == SYS_ppoll || call == SYS_clock_nanosleep ||
           call == SYS_restart_syscall;
}

/* Stops the thread as it enters a system call that is part of a turn, not of the wait between two. */
static void
stop_in_a_turn(pid_t thread)
{
    struct __ptrace_syscall_info info = {0};
    int status;
    check(ptrace(PTRACE_SEIZE, thread, NULL, PTRACE_O_TRACESYSGOOD) == 0 &&
              ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0,
          "the thread cannot be traced");
    for (unsigned i = 0; i < 10000; i++) {
        check(waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status), "no stop");
        check(ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) > 0, "no system call");
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY && !is_wait(info.entry.nr)) {
            return;
        }
        check(ptrace(PTRACE_SYSCALL, thread, NULL, NULL) == 0, "it does not go on");
    }
    fail_test("the thread has no turns");
}

Test(http_states, a_thread_that_hangs, .init = scene_open, .fini = scene_close)
{
    check(setenv("OUTBOX_RELAY_CORE_DUMPS", "yes", 1) == 0, "setenv"); /* or it cannot be traced */
    start(NULL);
    relay_await_work(scene.relay);
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
    const pid_t worker = find_worker();
    write_message("wakes it");
    stop_in_a_turn(worker);
    const struct http_reply reply = http_await("/healthz", 503, "test: hanging");
    check(strstr(reply.body, "alive") == NULL, "%s", reply.body);
    (void)http_await("/readyz", 503, "test: hanging"); /* is enough */
    check(ptrace(PTRACE_DETACH, worker, NULL, NULL) == 0, "it cannot be left alone");
    (void)http_await("/healthz", 200, "alive");       /* is enough */
    (void)http_await("/readyz", 200, "test: idle\n"); /* is enough */
    relay_drain(scene.relay);
}
