/* Passwords are changed while the relay runs, and commands that give passwords hang. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

static char user[64];
static char path[300];
/* Lines of the configuration. The command counts its runs in a file beside that of the password. */
static char password_file[400];
static char password_command[800];

static void
write_password(const char *password)
{
    char fresh[310];
    (void)snprintf(fresh, sizeof(fresh), "%s.new", path); /* fits */
    FILE *const file = fopen(fresh, "we");
    check(file != NULL && fchmod(fileno(file), 0600) == 0, "%s", fresh);
    check(fprintf(file, "%s\n", password) > 0 && fclose(file) == 0, "%s", fresh);
    check(rename(fresh, path) == 0, "%s", path);
}

static void
open_all(void)
{
    scene_open();
    (void)snprintf(user, sizeof(user), "rotated_%d", (int)getpid()); /* these fit */
    (void)snprintf(path, sizeof(path), "%s/password-%d", test_env("OUTBOX_TEST_DIR"),
                   (int)getpid());
    (void)snprintf(password_file, sizeof(password_file), "password_file = \"%s\"\n", path);
    (void)snprintf(password_command, sizeof(password_command),
                   "password_command = \"echo run >>'%s.runs'; cat '%s'\"\n", path, path);
    write_password("first");
}

static void
close_all(void)
{
    scene_close();
    check(unlink(path) == 0, "%s", path);
    servers_shell("rm -rf '%s.runs'", path);
}

TestSuite(relay_secrets, .init = open_all, .fini = close_all, .timeout = 240);

static void
await_reading(void)
{
    if (relay_tails()) {
        relay_await_tailing(scene.relay);
    } else {
        relay_await_work(scene.relay);
    }
}

static void
expect_delivery(struct consumer *consumer, const char *payload)
{
    scene_exec("insert into outbox (routing_key, payload) values ('%s', '%s')", scene.queue,
               payload);
    consumer_expect(consumer, payload);
    await_empty_outbox(scene.db); /* otherwise it would come again, after the next one */
}

static void
change_password_of_database(const char *line, const char *words_of_failure)
{
    char dsn[500];
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    db_create_user(scene.db, user, "first");
    db_grant_all(scene.db, user);
    (void)snprintf(dsn, sizeof(dsn), "%s user=%s", db_dsn(), user); /* fits */
    scene.relay = relay_start(&(struct relay_options){.dsn = dsn, .source = line});
    expect_delivery(consumer, "with the first");
    await_reading();
    db_set_password(scene.db, user, "second");
    db_end_sessions_of(scene.db, user);
    const char *said = relay_await_log(scene.relay, "event=source_lost", "password");
    check(strstr(said, "the database is there") != NULL, "%s", said);
    write_password("second");
    expect_delivery(consumer, "with the second");
    await_reading();
    /* While the file is missing, it is an outage too. */
    check(unlink(path) == 0, "%s", path);
    db_end_sessions_of(scene.db, user);
    (void)relay_await_log(scene.relay, "event=source_lost", words_of_failure);
    write_password("second");
    expect_delivery(consumer, "with the second again");
    relay_drain(scene.relay);
    check(relay_logged(scene.relay, "\"first\"") + relay_logged(scene.relay, "\"second\"") == 0,
          "a password is in the log");
    consumer_close(consumer);
    db_drop_user(scene.db, user);
}

/* Promise: the database's password is read again for every connection, also for that to the log. */
Test(relay_secrets, a_new_password_of_the_database_needs_no_restart)
{
    change_password_of_database(password_file, "cannot be opened: No such file");
}

/* Promise: so is what a command writes, which runs anew for every connection. */
Test(relay_secrets, a_command_gives_the_password_of_the_database)
{
    change_password_of_database(password_command,
                                "password_command: it ended with exit status 1: cat: ");
    servers_shell("test $(wc -l <'%s.runs') -ge %d", path, relay_tails() ? 6 : 4);
}

/* "amqp://guest:guest@host/" for another user. */
static const char *
uri_of(const char *name)
{
    static char uri[400];
    const char *const at = strchr(test_env("OUTBOX_TEST_AMQP_URI"), '@');
    check(at != NULL, "the broker's URI has no user");
    (void)snprintf(uri, sizeof(uri), "amqp://%s%s", name, at); /* fits */
    return uri;
}

/* rabbitmqctl COMMAND USER ARGUMENTS */
static void
rabbitmqctl(const char *command, const char *arguments)
{
    char words[200];
    (void)snprintf(words, sizeof(words), "%s %s %s", command, user, arguments); /* fits */
    servers_rabbitmqctl(words);
}

static void
change_password_of_broker(const char *line)
{
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    rabbitmqctl("add_user", "first");
    rabbitmqctl("set_permissions", "'.*' '.*' '.*'");
    scene.relay = relay_start(&(struct relay_options){.uri = uri_of(user), .broker = line});
    expect_delivery(consumer, "with the first");
    rabbitmqctl("change_password", "second");
    rabbitmqctl("close_all_user_connections", "rotated");
    (void)relay_await_log(scene.relay, "event=lane_lost", "refused the user name or password");
    write_password("second");
    expect_delivery(consumer, "with the second");
    relay_drain(scene.relay);
    consumer_close(consumer);
    rabbitmqctl("delete_user", "");
}

/* Promise: the broker's password is, too. */
Test(relay_secrets, a_new_password_of_the_broker_needs_no_restart)
{
    change_password_of_broker(password_file);
}

Test(relay_secrets, a_command_gives_the_password_of_the_broker)
{
    change_password_of_broker(password_command);
}

/* ---- commands that hang --------------------------------------------------------------------------------- */

/* A line of the configuration: a command that gives the password at its first run, and hangs from then on. */
static const char *
hanging(const char *password, const char *timeout)
{
    static char line[1000];
    (void)snprintf(
        line, sizeof(line),
        "password_command_timeout = %s password_command = \"mkdir '%s.runs' 2>&- && exec "
        "echo %s; cd '%s.runs'; echo hangs >&2; echo $$ >new; mv new pid; exec sleep "
        "1000\"\n",
        timeout, path, password, path); /* fits */
    return line;
}

static bool
hangs(void *context)
{
    char pid[320];
    (void)context;
    (void)snprintf(pid, sizeof(pid), "%s.runs/pid", path); /* fits */
    return access(pid, R_OK) == 0;
}

/* Ends the command that hangs; the next one says anew that it does. */
static void
end_command(void)
{
    servers_shell("cd '%s.runs' && mv pid ended && kill -KILL $(cat ended)", path);
}

static void
expect_end_of_command(void)
{
    servers_shell("pid=$(cat '%s.runs/pid'); for i in $(seq 600); do grep -qs sleep "
                  "/proc/$pid/cmdline || exit 0; sleep 0.1; done; exit 1",
                  path);
}

/* Promise: while a lane waits for its password, the other one publishes, and the outbox stays owned. */
Test(relay_secrets, a_lane_that_waits_for_its_password_delays_no_other)
{
    scene.relay = relay_start(&(struct relay_options){.uri = uri_of("guest"),
                                                      .broker = hanging("guest", "20s"),
                                                      .source = "publishers = 2 takeover = 2s\n"});
    await(hangs, NULL, "the command of the second lane hangs", PATIENCE_S);
    for (int i = 0; i < 40; i++) {
        scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s', '%d', 'x')",
                   scene.queue, i);
    }
    /* Each key has its lane; with 40 keys, each lane has some. */
    scene_await("some are sent", "select count(*) < 36 from outbox");
    check(relay_logged(scene.relay, "event=source_lost") == 0, "the outbox was lost");
    check(relay_logged(scene.relay, "took longer") == 0, "this was too slow to show anything");
    relay_signal(scene.relay, SIGTERM);
    check(relay_await_exit(scene.relay, PATIENCE_S) == 0, "it did not drain");
    check(scene_count("select count(*) from outbox") > 0, "the second lane published as well");
    expect_end_of_command();
}

/* Promise: a relay that waits for the password of the log's connection polls meanwhile; one that waits for that of its
 * session ends when it is told to, and ends the command. */
Test(relay_secrets, a_command_that_hangs_delays_nothing_else)
{
    char dsn[500];
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    db_create_user(scene.db, user, "first");
    db_grant_all(scene.db, user);
    (void)snprintf(dsn, sizeof(dsn), "%s user=%s", db_dsn(), user); /* fits */
    scene.relay =
        relay_start(&(struct relay_options){.dsn = dsn, .source = hanging("first", "20s")});
    relay_await_work(scene.relay);
    if (relay_tails()) {
        await(hangs, NULL, "the command for the log hangs", PATIENCE_S);
        expect_delivery(consumer, "by polling");
        check(relay_logged(scene.relay, "took longer") == 0, "it waited for the command");
        end_command();
        (void)relay_await_log(scene.relay, "event=not_tailing",
                              "password_command: it was ended by signal 9: hangs");
        await(hangs, NULL, "the next one hangs as well", PATIENCE_S);
        end_command();
    }
    db_end_sessions_of(scene.db, user);
    await(hangs, NULL, "the command for the session hangs", PATIENCE_S);
    end_command();
    (void)relay_await_log(scene.relay, "event=source_lost",
                          "password_command: it was ended by signal 9: hangs");
    await(hangs, NULL, "and again", PATIENCE_S);
    relay_drain(scene.relay);
    check(relay_logged(scene.relay, "took longer") == 0, "it ended after the time of the command");
    expect_end_of_command();
    consumer_close(consumer);
    db_drop_user(scene.db, user);
}
