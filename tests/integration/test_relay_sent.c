/* What `explain` says of a message after its delivery, after a crash between the broker's confirm and the delete, and after a
 * rollback. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/scene_fixture.h"

#define SENT "00000000-0000-7000-8000-000000000001"
#define ROLLED_BACK "00000000-0000-7000-8000-000000000002"

static void
set_up(void)
{
    scene_open();
    cli_enter();
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n",
              db_kind(), db_dsn());
}

static void
tear_down(void)
{
    cli_leave();
    scene_close();
}

TestSuite(relay_sent, .init = set_up, .fini = tear_down, .timeout = 240);

static void
expect_told(const char *id, bool sent)
{
    char arguments[200];
    (void)snprintf(arguments, sizeof(arguments), "explain %s -c relay.conf", id); /* fits */
    (void)cli(arguments);
    check((strstr(cli_stdout(), "It was sent at ") != NULL) == sent, "%s: %s%s", id, cli_stdout(),
          cli_stderr());
}

/* Of the same message, by both of its names. */
static void
expect_both_told(int64_t id, const char *message_id, bool sent)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, id); /* fits */
    expect_told(text, sent);
    expect_told(message_id, sent);
}

static int64_t
write_message(const char *message_id)
{
    scene_exec("insert into outbox (message_id, routing_key, payload) values (as_id('%s'), '%s', "
               "'body')",
               message_id, scene.queue);
    return scene_count("select max(id) from outbox");
}

/* Promise: a message is told as sent from its confirmed delivery on, and not while it may come again. One that was rolled back
 * never is. */
Test(relay_sent, a_crash_after_the_confirm_and_a_rollback)
{
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    db_forbid(scene.db, "delete", "outbox", "true");
    scene_start_relay(NULL);
    scene_exec("begin");
    const int64_t rolled_back = write_message(ROLLED_BACK);
    expect_both_told(rolled_back, ROLLED_BACK, false);
    scene_exec("rollback");
    const int64_t id = write_message(SENT);
    consumer_expect(consumer, "body");
    (void)relay_await_log(scene.relay, "event=not_deleted", NULL); /* is enough */
    expect_both_told(id, SENT, false);
    relay_kill(scene.relay);
    expect_both_told(id, SENT, false);
    scene_exec("%s", (const char *)db_choose("drop trigger forbid_delete on outbox",
                                             "drop trigger forbid_delete_outbox"));
    relay_start_again(scene.relay);
    consumer_expect(consumer, "body");
    scene_await("it is deleted", "select count(*) = 0 from outbox");
    expect_both_told(id, SENT, true);
    expect_both_told(rolled_back, ROLLED_BACK, false);
    check(cli("explain " ROLLED_BACK " -c relay.conf") == 1, "%s", cli_stdout());
    relay_drain(scene.relay);
    consumer_close(consumer);
}
