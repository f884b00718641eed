/* Whoever reads the relay's log, or stops reading it, does not affect the messages. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

TestSuite(relay_log, .init = scene_open, .fini = scene_close, .timeout = 240);

/* A full pipe that nobody reads. */
static int ends[2];

static void
fill_pipe(void)
{
    static const char blanks[4096];
    check(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
    check(fcntl(ends[1], F_SETPIPE_SZ, sizeof(blanks)) == (int)sizeof(blanks), "F_SETPIPE_SZ");
    check(write(ends[1], blanks, sizeof(blanks)) == (ssize_t)sizeof(blanks), "write");
}

/* Reads until the last writer has closed the pipe. True if `text` was there. */
static bool
read_for(const char *text)
{
    static char log[1 << 20];
    size_t size = 0;
    check(close(ends[1]) == 0, "close");
    for (ssize_t got = 1; got > 0 && size < sizeof(log) - 1; size += (size_t)got) {
        got = read(ends[0], log + size, sizeof(log) - 1 - size);
        check(got >= 0, "read");
    }
    check(close(ends[0]) == 0, "close");
    return memmem(log, size, text, strlen(text)) != NULL;
}

/* Promise: with a full pipe as stderr messages are sent, refused ones are set aside, and SIGTERM drains. */
Test(relay_log, a_log_that_nobody_reads_stops_nothing)
{
    fill_pipe();
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    scene.relay = relay_start(&(struct relay_options){.global = "log_level = \"debug\"\n",
                                                      .retry_initial = "1h",
                                                      .retry_max = "1h",
                                                      .log_fd = ends[1]});
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'first')", scene.queue);
    consumer_expect(consumer, "first");
    /* Each message that is refused writes a line. */
    scene_exec(
        "insert into outbox (routing_key, \"key\", payload) select case when mod(i, 3) = 0 then "
        "'nowhere' else '%s' end, concat('k', i), 'x' from " DB_SERIES("1", "300"),
        scene.queue);
    scene_await("the refused are held, the others gone",
                "select (select count(*) from outbox) = 0 and (select count(*) from outbox_held) = "
                "100");
    relay_drain(scene.relay);
    check(!read_for("event=stopped"), "it waited for the reader");
    consumer_close(consumer);
}

static bool
has_owner(void *context)
{
    (void)context; /* of the scene */
    return db_owner(scene.db) != 0;
}

/* Promise: a second SIGTERM, or the end of shutdown_timeout, ends the relay at once, even if nobody reads the log. */
Test(relay_log, a_log_that_nobody_reads_does_not_keep_it)
{
    fill_pipe();
    scene.relay = relay_start(&(struct relay_options){
        .global = "shutdown_timeout = \"0s\"\n", .source = "", .log_fd = ends[1]});
    await(has_owner, NULL, "it owns the outbox", PATIENCE_S);
    relay_signal(scene.relay, SIGTERM);
    (void)relay_await_exit(scene.relay, PATIENCE_S); /* 0 if all was drained by then, else 1 */
    check(!read_for("event=stopped"), "it waited for the reader");
}
