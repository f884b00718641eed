/* Promise: no password is in a log, in what a command or HTTP says, or in a core file. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/http_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"

#define SECRET "hunter2"

static char user[64];

static void
open_all(void)
{
    char words[200];
    cli_enter();
    scene_open();
    (void)snprintf(user, sizeof(user), "secrets_%d", (int)getpid()); /* these fit */
    db_create_user(scene.db, user, SECRET "-database");
    db_grant_all(scene.db, user);
    (void)snprintf(words, sizeof(words), "add_user %s " SECRET "-broker", user);
    servers_rabbitmqctl(words);
    (void)snprintf(words, sizeof(words), "set_permissions %s '.*' '.*' '.*'", user);
    servers_rabbitmqctl(words);
}

static void
close_all(void)
{
    char words[200];
    (void)snprintf(words, sizeof(words), "delete_user %s", user); /* fits */
    servers_rabbitmqctl(words);
    db_drop_user(scene.db, user);
    scene_close();
    cli_leave();
}

TestSuite(secrets, .init = open_all, .fini = close_all, .timeout = 240);

/* database, broker: lines of the sections that give their passwords. */
static void
write_config(const char *database, const char *uri_password, const char *broker)
{
    const char *const at = strchr(test_env("OUTBOX_TEST_AMQP_URI"), '@');
    check(at != NULL, "the broker's URI has no user");
    cli_write("relay.conf",
              "log_level = debug\n%s"
              "broker main { uri = \"amqp://%s%s%s\" reconnect_max = 200ms %s }\n"
              "source test { kind = %s mode = auto broker = main %s }\n",
              http_section(NULL), user, uri_password, at, broker, db_kind(), database);
}

static void
expect_none(const char *where, const char *text)
{
    check(strstr(text, SECRET) == NULL, "%s shows a password: %s", where, text);
}

static void
try_commands(void)
{
    static const char *const commands[] = {
        "run --check-config -c relay.conf",
        "check -c relay.conf",
        "init -c relay.conf",
        "status -c relay.conf",
        "status --json -c relay.conf",
        "held list -c relay.conf",
        "held list --json -c relay.conf",
        "explain -c relay.conf 1",
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        (void)cli(commands[i]); /* some are to fail */
        expect_none(commands[i], cli_stdout());
        expect_none(commands[i], cli_stderr());
    }
}

static void
try_http(void)
{
    static const char *const paths[] = {"/metrics", "/readyz", "/healthz", "/", "/api/status"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct http_reply reply = http_get(paths[i]);
        expect_none(paths[i], reply.head);
        expect_none(paths[i], reply.body);
    }
}

/* Runs a relay until its log has `text`, and asks everybody meanwhile. */
static void
try_all(const char *text, bool works)
{
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log(text);
    try_http();
    check(kill(relay, SIGTERM) == 0, "kill");
    const int status = cli_wait(relay);
    check(!works || status == 0, "status %d", status);
    cli_wait_for_log("event=stopped");
    expect_none("the log", cli_stderr());
    try_commands();
}

static const char *
dsn_with(const char *password)
{
    static char line[700];
    (void)snprintf(line, sizeof(line), "dsn = \"%s user=%s%s\"", db_dsn(), user,
                   password); /* fits */
    return line;
}

Test(secrets, passwords_that_are_right)
{
    char line[900];
    write_config(dsn_with(" password=" SECRET "-database"), ":" SECRET "-broker", "");
    try_all("event=source_owned", true);
    (void)snprintf(line, sizeof(line), "%s password_command = \"echo " SECRET "-database\"",
                   dsn_with("")); /* fits */
    write_config(line, "", "password_command = \"echo " SECRET "-broker\"");
    try_all("event=source_owned", true);
}

Test(secrets, passwords_that_are_wrong)
{
    char line[900];
    write_config(dsn_with(" password=" SECRET "-wrong"), ":" SECRET "-wrong", "");
    try_all("event=source_lost", false);
    /* A script that shows what it does, and fails. */
    (void)snprintf(line, sizeof(line),
                   "%s password_command = \"set -x; echo " SECRET "-database; exit 1\"",
                   dsn_with("")); /* fits */
    write_config(line, "", "password_command = \"set -x; echo " SECRET "-broker; exit 1\"");
    try_all("event=source_lost", false);
}

/* ---- core files ----------------------------------------------------------------------------------------- */

static bool
is_core_here(void)
{
    DIR *const directory = opendir(".");
    bool found = false;
    check(directory != NULL, "opendir");
    for (const struct dirent *at = readdir(directory); at != NULL; at = readdir(directory)) {
        found |= strncmp(at->d_name, "core", 4) == 0;
    }
    check(closedir(directory) == 0, "closedir");
    return found;
}

/* Whether a program that may be dumped leaves its core here. */
static bool
cores_come_here(void)
{
    char pattern[100] = "";
    FILE *const file = fopen("/proc/sys/kernel/core_pattern", "re");
    check(file != NULL && fgets(pattern, sizeof(pattern), file) != NULL, "core_pattern");
    check(fclose(file) == 0, "core_pattern");
    return strncmp(pattern, "core", 4) == 0;
}

static void
crash_one(void)
{
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_owned");
    check(kill(relay, SIGABRT) == 0 && waitpid(relay, NULL, 0) == relay, "kill");
}

Test(secrets, a_crash_leaves_no_core_file)
{
    struct rlimit limit;
    check(getrlimit(RLIMIT_CORE, &limit) == 0, "getrlimit");
    const bool may = limit.rlim_max == RLIM_INFINITY && cores_come_here();
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_CORE, &limit) == 0, "setrlimit");
    write_config(dsn_with(" password=" SECRET "-database"), ":" SECRET "-broker", "");
    crash_one();
    check(!is_core_here(), "there is a core file");
#ifndef __SANITIZE_ADDRESS__ /* with which there are none in any case */
    if (may) {
        check(setenv("OUTBOX_RELAY_CORE_DUMPS", "yes", 1) == 0, "setenv");
        crash_one();
        check(is_core_here(), "there is no core file, so its absence shows nothing");
    }
#endif
    (void)may; /* as above */
}
