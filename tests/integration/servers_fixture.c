#include "tests/integration/servers_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/db_fixture.h"
#include "tests/integration/relay_fixture.h"

/* Set when OUTBOX_TEST_DIR is our own instance, so that no other is ever disturbed. */
#define OWN "OUTBOX_TEST_OWN"

/* a pipe that the guardian reads: when it is closed, the guardian ends the instance */
static int leash = -1;
static pid_t guardian;

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

/* Waits until the leash is closed, then ends the instance. In a session of its own, so that it survives if the test and
 * its process group are killed. */
static _Noreturn void
guard(int end, int other_end, const char *last_words)
{
    char byte;
    (void)close(other_end); /* cannot fail in a way that matters */
    (void)setsid();         /* cannot fail: a new process leads no group */
    while (read(end, &byte, 1) < 0 && errno == EINTR) {
    }
    run_shell(last_words);
}

static void
start_guardian(const char *last_words)
{
    int ends[2];
    check(pipe2(ends, O_CLOEXEC) == 0, "pipe2: %s", strerror(errno));
    guardian = fork();
    check(guardian >= 0, "fork: %s", strerror(errno));
    if (guardian == 0) {
        guard(ends[0], ends[1], last_words);
    }
    (void)close(ends[0]); /* not used here */
    leash = ends[1];
}

/* Reads a line `export NAME=value` as bash would; blanks in values are escaped, and '' is an empty value. */
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
        if (*from != '\\' && *from != '\'') {
            *to++ = *from;
        }
    }
    *to = '\0';
    *equals = '\0';
    check(setenv(line + sizeof(prefix) - 1, equals + 1, 1) == 0, "out of memory");
}

static void
take_environment(const char *line_to_run)
{
    char line[4096];
    FILE *output = popen(line_to_run, "r");
    check(output != NULL, "%s: %s", line_to_run, strerror(errno));
    while (fgets(line, sizeof(line), output) != NULL) {
        set_variable(line);
    }
    check(pclose(output) == 0, "failed: %s", line_to_run);
}

static void
format_command(char *line, size_t size, const char *directory, const char *command)
{
    const int length =
        snprintf(line, size, "'%s' '%s' %s", test_env("OUTBOX_TEST_SERVICES"), directory, command);
    check(length > 0 && (size_t)length < size, "a command is too long: %s", command);
}

void
servers_start(const char *services)
{
    char directory[64];
    char line[4096];
    char command[256];
    const int length = snprintf(directory, sizeof(directory), "%s/own-%ld",
                                test_env("OUTBOX_TEST_DIR"), (long)getpid());
    check(length < (int)sizeof(directory), "%s is too long a name", directory);
    format_command(line, sizeof(line), directory, "stop");
    start_guardian(line);
    (void)snprintf(command, sizeof(command), "start %s", services);
    format_command(line, sizeof(line), directory, command);
    await_shell(start_shell(line), line);
    format_command(line, sizeof(line), directory, "env");
    take_environment(line);
    check(setenv(OWN, directory, 1) == 0, "out of memory");
}

void
servers_do(const char *command)
{
    char line[4096];
    format_command(line, sizeof(line), servers_directory(), command);
    await_shell(start_shell(line), line);
}

void
servers_do_database(const char *command)
{
    char line[64];
    (void)snprintf(line, sizeof(line), "%s %s", command, db_server()); /* fits */
    servers_do(line);
}

void
servers_do_second(const char *command)
{
    char directory[128];
    char line[4096];
    (void)snprintf(directory, sizeof(directory), "%s/second", servers_directory()); /* fits */
    format_command(line, sizeof(line), directory, command);
    await_shell(start_shell(line), line);
}

const char *
servers_directory(void)
{
    return test_env(OWN);
}

void
servers_shell(const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    check(length > 0 && (size_t)length < sizeof(line), "a command is too long: %s", format);
    await_shell(start_shell(line), line);
}

/* The comment at its end, by which it is found again. */
#define OUR_LINE "# of the test"

static const char *
configuration_file(void)
{
    return db_choose("postgres/data/postgresql.conf", "mariadb/server.cnf");
}

static void
take_line_away(void)
{
    servers_shell("sed -i '/" OUR_LINE "/d' '%s/%s'", servers_directory(), configuration_file());
}

void
servers_restart_with(const char *line)
{
    take_line_away();
    servers_shell("echo '%s " OUR_LINE "' >>'%s/%s'", line, servers_directory(),
                  configuration_file());
    servers_do_database("restart");
}

void
servers_restart_without(void)
{
    take_line_away();
    servers_do_database("restart");
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
        (void)close(leash); /* closing it is the signal */
        leash = -1;
        while (waitpid(guardian, &status, 0) < 0 && errno == EINTR) {
        }
    }
}
