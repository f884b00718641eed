#include "tests/integration/redis_fixture.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static char directory[64];
static char path[96];
static pid_t server;
static int append_only;

static _Noreturn void
die(const char *words)
{
    (void)fprintf(stderr, "redis_fixture: %s\n", words);
    abort();
}

/* NULL if the server does not answer (yet). */
static redisReply *
ask(const char *command)
{
    redisContext *context = redisConnectUnix(path);
    redisReply *reply = NULL;
    if (context != NULL && context->err == 0) {
        reply = redisCommand(context, command);
    }
    redisFree(context);
    return reply;
}

static void
wait_until_up(void)
{
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    for (;;) {
        redisReply *reply = ask("PING");
        const int up = reply != NULL && reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
        if (up) {
            return;
        }
        if (clock_monotonic_us() > deadline_us || waitpid(server, NULL, WNOHANG) != 0) {
            die("redis-server does not start");
        }
        (void)usleep(2000);
    }
}

static void
launch(void)
{
    server = fork();
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        const char *program = getenv("OUTBOX_TEST_REDIS_SERVER");
        program = program == NULL ? "redis-server" : program;
        (void)execlp(program, program, "--port", "0", "--unixsocket", path, "--dir", directory,
                     "--save", "", "--appendonly", append_only ? "yes" : "no", "--appendfsync",
                     "always", "--logfile", "log", (char *)NULL);
        _exit(127);
    }
    wait_until_up();
}

const char *
redis_fixture_start(int persistent)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/outbox-test-redis-XXXXXX");
    if (mkdtemp(directory) == NULL) {
        die("cannot make a directory");
    }
    (void)snprintf(path, sizeof(path), "%s/socket", directory);
    append_only = persistent;
    launch();
    return path;
}

static void
end_with(int signal_number)
{
    (void)kill(server, signal_number);
    (void)waitpid(server, NULL, 0);
}

void
redis_fixture_restart(void)
{
    end_with(SIGTERM);
    launch();
}

void
redis_fixture_stop(void)
{
    char command[128];
    end_with(SIGKILL);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0) {
        die("cannot remove its directory");
    }
}

void
redis_fixture_freeze(int frozen)
{
    (void)kill(server, frozen ? SIGSTOP : SIGCONT);
}

long long
redis_fixture_command(const char *command)
{
    redisReply *reply = ask(command);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        die(reply == NULL ? command : reply->str);
    }
    const long long value =
        reply->type == REDIS_REPLY_INTEGER ? reply->integer : (long long)reply->len;
    freeReplyObject(reply);
    return value;
}
