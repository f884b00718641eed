/* The outbox is changed online: a tool copies the table in pieces while applications write and the relay deletes, repeats those
 * changes in the copy, and then the copy takes the name. pt-online-schema-change repeats them by triggers, gh-ost from the log.
 * OUTBOX_TEST_SCHEMA_TOOL says which of them; OUTBOX_TEST_GH_OST is where gh-ost is, which Debian does not have. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* Without the sweep a row that the relay misses is lost. */
#define NO_SWEEP "sweep_interval = \"1h\"\n"

static pid_t tool;

static bool
is_gh_ost(void)
{
    return strcmp(test_env("OUTBOX_TEST_SCHEMA_TOOL"), "gh-ost") == 0;
}

/* So that gh-ost sees who waits for the table: MySQL has this on by default. */
static void
show_locks(void)
{
    servers_do("kill mariadb");
    servers_shell("printf '%%s\\n' performance-schema=ON "
                  "'performance-schema-instrument=wait/lock/metadata/sql/mdl=ON' "
                  ">>'%s/mariadb/server.cnf'",
                  servers_directory());
    servers_do("start mariadb");
}

static void
open_with_broker(void)
{
    servers_start("mariadb rabbitmq");
    if (is_gh_ost()) {
        show_locks();
    }
    scene_open();
}

TestSuite(relay_schema_change, .init = open_with_broker, .fini = scene_close_own, .timeout = 280);

/* ---- the tools ------------------------------------------------------------------------------------- */

/* In small pieces, so that the relay sends and deletes while they are copied. The server takes deleted rows into account when it
 * guesses how large a piece is. */
static int
format_pt(char *line, size_t size, const char *alter)
{
    return snprintf(
        line, size,
        "exec pt-online-schema-change --execute --preserve-triggers --recursion-method none "
        "--chunk-size 100 --chunk-time 0 --chunk-size-limit 0 --sleep 0.02 "
        "--tries copy_rows:100:0.1,create_triggers:100:0.1,swap_tables:100:0.1 "
        "--alter '%s' h=%s,P=%s,u=%s,p=%s,D=%s,t=outbox >'%s/tool.log' 2>&1",
        alter, test_env("OUTBOX_TEST_MYSQL_HOST"), test_env("OUTBOX_TEST_MYSQL_PORT"),
        test_env("OUTBOX_TEST_MYSQL_USER"), test_env("OUTBOX_TEST_MYSQL_PASSWORD"), db_database(),
        servers_directory());
}

/* A nice ratio of 5: after each piece it waits five times as long as the piece took. Never with --skip-metadata-lock-check,
 * which gh-ost's documentation warns of: rows that were committed just before the tables were exchanged were in the old one alone. */
static int
format_gh_ost(char *line, size_t size, const char *alter)
{
    return snprintf(
        line, size,
        "exec '%s' --execute --allow-on-master --assume-rbr --include-triggers --trigger-suffix "
        "_gho "
        "--ok-to-drop-table --initially-drop-old-table --initially-drop-socket-file "
        "--serve-socket-file '%s/gh-ost.socket' --chunk-size 100 --nice-ratio 5 --default-retries "
        "100 "
        "--alter '%s' --host %s --port %s --user %s --password '%s' --database %s --table outbox "
        ">'%s/tool.log' 2>&1",
        test_env("OUTBOX_TEST_GH_OST"), servers_directory(), alter,
        test_env("OUTBOX_TEST_MYSQL_HOST"), test_env("OUTBOX_TEST_MYSQL_PORT"),
        test_env("OUTBOX_TEST_MYSQL_USER"), test_env("OUTBOX_TEST_MYSQL_PASSWORD"), db_database(),
        servers_directory());
}

static void
format_command(char *line, size_t size, const char *alter)
{
    const int length =
        is_gh_ost() ? format_gh_ost(line, size, alter) : format_pt(line, size, alter);
    check(length < (int)size, "a command is too long");
}

static const char *
name_of_copy(void)
{
    return is_gh_ost() ? "_outbox_gho" : "_outbox_new";
}

static _Noreturn void
become_tool(const char *line, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) {
        (void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    }
    _exit(127);
}

static void
start_tool(const char *alter)
{
    char line[2048];
    const pid_t parent = getpid();
    format_command(line, sizeof(line), alter);
    tool = fork();
    check(tool >= 0, "fork: %s", strerror(errno));
    if (tool == 0) {
        become_tool(line, parent);
    }
}

static bool
tool_has_ended(void *context)
{
    return waitpid(tool, context, WNOHANG) == tool;
}

static _Noreturn void
fail_with_words_of_tool(void)
{
    servers_shell("cat '%s/tool.log' >&2", servers_directory());
    fail_test("the tool failed");
}

static void
await_tool(void)
{
    int status = 0;
    await(tool_has_ended, &status, "the tool ends", PATIENCE_S);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_with_words_of_tool();
    }
}

static bool
tool_copies(void *context)
{
    (void)context;
    if (tool_has_ended(NULL)) {
        fail_with_words_of_tool();
    }
    return scene_count("select count(*) from information_schema.tables "
                       "where table_schema = database() and table_name = '%s'",
                       name_of_copy()) == 1 &&
           scene_count("select exists (select 1 from %s)", name_of_copy()) == 1;
}

/* ---- the test -------------------------------------------------------------------------------------- */

static struct traffic *
start_traffic(void)
{
    traffic_set_up(scene.db);
    return traffic_start(&(struct traffic_options){.routing_key = scene.queue,
                                                   .writers = 8,
                                                   .keys = 40,
                                                   .rollback_percent = 5,
                                                   .open_us_max = 50000,
                                                   .pause_us_max = 10000});
}

/* While the relay begins to send what has gathered. */
static void
change(const char *alter)
{
    servers_do("alarm on");
    traffic_burst(scene.db, scene.queue, 20, 500);
    start_tool(alter);
    await(tool_copies, NULL, "rows are copied", PATIENCE_S);
    servers_do("alarm off");
    await_tool();
}

/* A message that is written now goes, so the relay knows of what was changed before. */
static void
expect_relay_goes_on(void)
{
    char since[40];
    scene_expect_no_pause();
    if (relay_tails()) {
        (void)snprintf(since, sizeof(since), "%s",
                       db_text(scene.db, "select utc_timestamp(6)")); /* fits */
        scene_await("the log is read again",
                    "select exists (select 1 from outbox_relay "
                    "where \"reads\" = 'tail' and updated_at > '%s')",
                    since);
    }
}

static void
expect_definition(const char *type)
{
    check(scene_count("select count(*) from information_schema.columns "
                      "where table_schema = database() and table_name = 'outbox' "
                      "and column_name = 'noted' and data_type = '%s'",
                      type) == 1,
          "it was not changed");
    servers_shell("exec '%s' init -c \"$OUTBOX_TEST_DIR\"/relay-*/relay.conf >/dev/null",
                  test_env("OUTBOX_TEST_RELAY"));
    if (is_gh_ost()) { /* which refuses the table next time if it finds its own name for a trigger */
        scene_exec("drop trigger outbox_payload_gho");
    }
    check(scene_count("select count(*) from information_schema.triggers "
                      "where event_object_schema = database() and event_object_table = 'outbox' "
                      "and trigger_name = 'outbox_payload'") == 1,
          "the trigger is not there");
    check(scene_count("select count(*) from information_schema.table_constraints "
                      "where table_schema = database() and table_name = 'outbox' "
                      "and constraint_name regexp '^outbox_.*[a-z]$'") == 10,
          "the limits are not all there");
}

/* Promise: nothing is lost and nothing comes twice; a relay that reads the log polls meanwhile, and then reads it again. `init` adds
 * the limits that have got other names. */
Test(relay_schema_change, nothing_is_lost_while_the_outbox_is_changed_online)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay(NO_SWEEP);
    for (unsigned i = 0; i < 2; i++) {
        change(i == 0 ? "add column noted int first" : "modify column noted bigint");
        expect_relay_goes_on();
        expect_definition(i == 0 ? "int" : "bigint");
        expect_relay_goes_on();
    }
    traffic_end(traffic);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice", (unsigned long long)duplicates);
    check(!relay_tails() || relay_logged(scene.relay, "event=not_tailing") > 0,
          "the definition has changed, and the relay has read on");
    scene_drain_relay();
}
