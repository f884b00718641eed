/* Both sides of the socket over which a reload is asked for. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/daemon/control.h"
#include "relay/daemon/control_client.h"

#define HEARD_BYTES (CONTROL_PACKET_BYTES * 2)

static char directory[] = "/tmp/test_control.XXXXXX";

static void
enter_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
}

static void
leave_directory(void)
{
    cr_assert_eq(chdir("/"), 0);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -r %s", directory); /* fits */
    cr_assert_eq(system(command), 0);
}

TestSuite(control, .init = enter_directory, .fini = leave_directory, .timeout = 120);

static struct control *
open_good(void)
{
    struct error error = {.text = ""};
    struct control *const control = control_open("control", &error);
    cr_assert_not_null(control, "%s", error.text);
    return control;
}

/* A turn of the relay: true if somebody asks. */
static bool
turn(struct control *control, int timeout_ms)
{
    struct pollfd polls[CONTROL_POLLS_MAX];
    control_polls(control, polls);
    cr_assert_geq(poll(polls, CONTROL_POLLS_MAX, timeout_ms), 0);
    return control_work(control, polls);
}

static void
await_ask(struct control *control)
{
    while (!turn(control, 1000)) {
    }
}

static void
take(void *context, bool problem, const char *text)
{
    char *const all = context;
    const size_t length = strlen(all);
    (void)snprintf(all + length, HEARD_BYTES - length, "%s%s\n", problem ? "! " : "",
                   text); /* compared */
}

struct asker {
    pthread_t thread;
    enum control_answer answer;
    bool good;
    uint64_t timeout_us;
    char heard[HEARD_BYTES];
    struct error error;
};

static void *
ask(void *context)
{
    struct asker *const asker = context;
    asker->good = control_ask("control", asker->timeout_us, take, asker->heard, &asker->answer,
                              &asker->error);
    return NULL;
}

static void
begin(struct asker *asker)
{
    *asker = (struct asker){.timeout_us = 60 * CLOCK_S_US};
    cr_assert_eq(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

static void
expect(struct asker *asker, enum control_answer answer, const char *text)
{
    cr_assert_eq(pthread_join(asker->thread, NULL), 0);
    cr_assert(asker->good, "%s", asker->error.text);
    cr_assert_eq(asker->answer, answer);
    cr_assert_str_eq(asker->heard, text);
}

Test(control, whoever_asks_hears_the_end)
{
    struct asker asker;
    struct control *const control = open_good();
    begin(&asker);
    await_ask(control);
    control_accept(control);
    control_tell(control, CONTROL_WAITING, CONTROL_PROBLEM, "source \"a\" cannot be started");
    control_tell(control, CONTROL_WAITING, CONTROL_FAILED, "1 added");
    expect(&asker, CONTROL_ANSWER_FAILED, "! source \"a\" cannot be started\n1 added\n");
    begin(&asker);
    await_ask(control);
    control_accept(control);
    control_tell(control, CONTROL_WAITING, CONTROL_IN_FORCE, "2 added");
    expect(&asker, CONTROL_ANSWER_IN_FORCE, "2 added\n");
    control_close(control);
    cr_assert_neq(access("control", F_OK), 0, "the file is left");
}

/* One whose configuration is accepted is not refused because the next one's is bad. */
Test(control, two_who_ask_hear_each_their_own)
{
    struct asker first;
    struct asker second;
    struct control *const control = open_good();
    begin(&first);
    await_ask(control);
    control_accept(control);
    begin(&second);
    await_ask(control);
    control_tell(control, CONTROL_ASKING, CONTROL_PROBLEM, "relay.conf:1: bad");
    control_tell(control, CONTROL_ASKING, CONTROL_REFUSED, "");
    expect(&second, CONTROL_ANSWER_REFUSED, "! relay.conf:1: bad\n\n");
    begin(&second);
    await_ask(control);
    control_accept(control);
    expect(&first, CONTROL_ANSWER_SUPERSEDED, "\n");
    control_tell(control, CONTROL_WAITING, CONTROL_STOPPING, "");
    expect(&second, CONTROL_ANSWER_STOPPING, "\n");
    control_close(control);
}

Test(control, whoever_hears_nothing_does_not_wait_for_ever)
{
    struct asker asker = {.timeout_us = 10 * CLOCK_MS_US};
    struct control *const control = open_good();
    cr_assert_null(ask(&asker));
    cr_assert(asker.good);
    cr_assert_eq(asker.answer, CONTROL_ANSWER_LATE);
    await_ask(control); /* by one who has gone already */
    begin(&asker);
    await_ask(control);
    control_close(control);
    cr_assert_eq(pthread_join(asker.thread, NULL), 0);
    cr_assert_not(asker.good);
    cr_assert_str_eq(asker.error.text, "the relay went away without an answer");
}

Test(control, nobody_there)
{
    struct asker asker = {.timeout_us = CLOCK_S_US};
    cr_assert_null(ask(&asker));
    cr_assert_not(asker.good);
    cr_assert_str_eq(asker.error.text,
                     "no relay answers at control (No such file or directory): it does not run, "
                     "or was started without this `control`");
}

/* A socket whose owner is dead leaves its file. */
Test(control, a_file_that_is_left_is_replaced)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control"};
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(close(fd), 0);
    struct asker asker = {.timeout_us = CLOCK_S_US};
    cr_assert_null(ask(&asker));
    cr_assert_not(asker.good);
    cr_assert(strstr(asker.error.text, "Connection refused") != NULL, "%s", asker.error.text);
    struct control *const control = open_good();
    begin(&asker);
    await_ask(control);
    control_accept(control);
    control_tell(control, CONTROL_WAITING, CONTROL_IN_FORCE, "x");
    expect(&asker, CONTROL_ANSWER_IN_FORCE, "x\n");
    control_close(control);
}

/* Nothing that is no socket is removed. */
Test(control, another_file_is_left_alone)
{
    struct error error;
    const int fd = open("control", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, "precious", 8), 8);
    cr_assert_eq(close(fd), 0);
    cr_assert_null(control_open("control", &error));
    cr_assert_str_eq(error.text,
                     "control: control cannot be made: there is a file that is no socket");
    cr_assert_eq(access("control", F_OK), 0);
    cr_assert_null(control_open("missing/control", &error));
    cr_assert_str_eq(error.text,
                     "control: missing/control cannot be made: No such file or directory");
}

Test(control, another_relay_is_left_alone)
{
    struct error error;
    struct control *const control = open_good();
    cr_assert_null(control_open("control", &error));
    cr_assert_str_eq(error.text, "control: another relay answers at control");
    cr_assert_not(turn(control, 0), "looking whether it answers asks for nothing");
    cr_assert_not(turn(control, 0));
    cr_assert_eq(access("control", F_OK), 0);
    control_close(control);
}

static int
call_with(const char *packet)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control"};
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (packet != NULL) {
        cr_assert_eq(send(fd, packet, strlen(packet), 0), (ssize_t)strlen(packet));
    }
    return fd;
}

/* Strangers who say nothing, or something else, keep nobody out. */
Test(control, strangers_do_not_matter)
{
    struct asker asker;
    int fds[30];
    struct control *const control = open_good();
    for (size_t i = 0; i < 30; i++) {
        fds[i] = call_with(i % 3 == 0 ? NULL : i % 3 == 1 ? "reloa" : "reload all the things");
        cr_assert_not(turn(control, 0));
        cr_assert_not(turn(control, 0));
    }
    begin(&asker);
    await_ask(control);
    control_accept(control);
    control_tell(control, CONTROL_WAITING, CONTROL_IN_FORCE, "x");
    expect(&asker, CONTROL_ANSWER_IN_FORCE, "x\n");
    for (size_t i = 0; i < 30; i++) {
        cr_assert_eq(close(fds[i]), 0);
    }
    control_close(control);
}

Test(control, long_words_are_cut)
{
    struct asker asker;
    static char text[3 * CONTROL_PACKET_BYTES];
    struct control *const control = open_good();
    memset(text, 'x', sizeof(text) - 1);
    begin(&asker);
    await_ask(control);
    control_tell(control, CONTROL_ASKING, CONTROL_PROBLEM, text);
    control_tell(control, CONTROL_ASKING, CONTROL_REFUSED, "");
    cr_assert_eq(pthread_join(asker.thread, NULL), 0);
    cr_assert_eq(asker.answer, CONTROL_ANSWER_REFUSED);
    cr_assert_gt(strlen(asker.heard), 4000);
    control_close(control);
}
