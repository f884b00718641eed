/* Passwords are changed while the relay runs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

static char user[64];
static char path[300];
static char password_file[400]; /* a line of the configuration */

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
    write_password("first");
}

static void
close_all(void)
{
    scene_close();
    check(unlink(path) == 0, "%s", path);
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

/* Promise: the database's password is read again for every connection, also for that to the log. */
Test(relay_secrets, a_new_password_of_the_database_needs_no_restart)
{
    char dsn[500];
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    db_create_user(scene.db, user, "first");
    db_grant_all(scene.db, user);
    (void)snprintf(dsn, sizeof(dsn), "%s user=%s", db_dsn(), user); /* fits */
    scene.relay = relay_start(&(struct relay_options){.dsn = dsn, .source = password_file});
    expect_delivery(consumer, "with the first");
    await_reading();
    db_set_password(scene.db, user, "second");
    db_end_sessions_of(scene.db, user);
    const char *line = relay_await_log(scene.relay, "event=source_lost", "password");
    check(strstr(line, "the database is there") != NULL, "%s", line);
    write_password("second");
    expect_delivery(consumer, "with the second");
    await_reading();
    /* While the file is missing, it is an outage too. */
    check(unlink(path) == 0, "%s", path);
    db_end_sessions_of(scene.db, user);
    (void)relay_await_log(scene.relay, "event=source_lost", "cannot be opened: No such file");
    write_password("second");
    expect_delivery(consumer, "with the second again");
    relay_drain(scene.relay);
    consumer_close(consumer);
    db_drop_user(scene.db, user);
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

/* Promise: the broker's password is, too. */
Test(relay_secrets, a_new_password_of_the_broker_needs_no_restart)
{
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    rabbitmqctl("add_user", "first");
    rabbitmqctl("set_permissions", "'.*' '.*' '.*'");
    scene.relay =
        relay_start(&(struct relay_options){.uri = uri_of(user), .broker = password_file});
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
