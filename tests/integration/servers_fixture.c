#include "tests/integration/servers_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/relay_fixture.h"

static char directory[64];
static const char *program; /* tests/services/services */
static int leash = -1;      /* its end at the guardian reads the end of this process */
static pid_t guardian;
static pid_t begun;

static _Noreturn void
run_shell(const char *line)
{
    (void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static pid_t
start_shell(const char *line)
{
    const pid_t pid = fork();
    check(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        run_shell(line);
    }
    return pid;
}

static void
await_shell(pid_t pid, const char *line)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        check(errno == EINTR, "waitpid: %s", strerror(errno));
    }
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "failed: %s", line);
}

/* Waits for the leash to be let go, then ends the instance. A session of its own: whoever ends this
 * test and its process group does not end that. */
static _Noreturn void
guard(int end, int other_end)
{
    char line[4096];
    char byte;
    (void)close(other_end); /* cannot fail in a way that matters */
    (void)setsid();         /* cannot fail: a new process leads no group */
    while (read(end, &byte, 1) < 0 && errno == EINTR) {
    }
    (void)snprintf(line, sizeof(line), "exec '%s' '%s' stop", program, directory);
    run_shell(line);
}

static void
start_guardian(void)
{
    int ends[2];
    check(pipe2(ends, O_CLOEXEC) == 0, "pipe2: %s", strerror(errno));
    guardian = fork();
    check(guardian >= 0, "fork: %s", strerror(errno));
    if (guardian == 0) {
        guard(ends[0], ends[1]);
    }
    (void)close(ends[0]); /* was never used here */
    leash = ends[1];
}

/* One line `export NAME=value` as bash would read it; values with blanks have them escaped. */
static void
set_variable(char *line)
{
    static const char prefix[] = "export ";
    char *equals = strchr(line, '=');
    if (strncmp(line, prefix, sizeof(prefix) - 1) != 0 || equals == NULL) {
        return;
    }
    char *to = equals + 1;
    for (const char *from = to; *from != '\0' && *from != '\n'; from++) {
        if (*from != '\\') {
            *to++ = *from;
        }
    }
    *to = '\0';
    *equals = '\0';
    check(setenv(line + sizeof(prefix) - 1, equals + 1, 1) == 0, "out of memory");
}

static void
take_environment(void)
{
    char line[4096];
    (void)snprintf(line, sizeof(line), "exec '%s' '%s' env", program, directory);
    FILE *output = popen(line, "r");
    check(output != NULL, "%s: %s", line, strerror(errno));
    while (fgets(line, sizeof(line), output) != NULL) {
        set_variable(line);
    }
    check(pclose(output) == 0, "the servers' addresses cannot be had");
}

void
servers_start(const char *services)
{
    static char services_program[4096];
    char command[256];
    (void)snprintf(services_program, sizeof(services_program), "%s",
                   test_env("OUTBOX_TEST_SERVICES"));
    program = services_program;
    const int length = snprintf(directory, sizeof(directory), "%s/own-%ld",
                                test_env("OUTBOX_TEST_DIR"), (long)getpid());
    check(length < (int)sizeof(directory), "%s is too long a name", directory);
    start_guardian();
    (void)snprintf(command, sizeof(command), "start %s", services);
    servers_do(command);
    take_environment();
}

static void
finish_begun(void)
{
    if (begun > 0) {
        const pid_t pid = begun;
        begun = 0;
        await_shell(pid, "a command for the servers");
    }
}

void
servers_begin(const char *command)
{
    char line[4096];
    finish_begun();
    (void)snprintf(line, sizeof(line), "exec '%s' '%s' %s", program, directory, command);
    begun = start_shell(line);
}

void
servers_do(const char *command)
{
    servers_begin(command);
    finish_begun();
}

void
servers_rabbitmqctl(const char *arguments)
{
    char line[4096];
    (void)snprintf(line, sizeof(line), "exec '%s' --quiet %s", test_env("OUTBOX_TEST_RABBITMQCTL"),
                   arguments);
    await_shell(start_shell(line), line);
}

void
servers_stop(void)
{
    int status;
    if (leash >= 0) {
        (void)close(leash); /* that it is closed is all it says */
        leash = -1;
        while (waitpid(guardian, &status, 0) < 0 && errno == EINTR) {
        }
    }
}
