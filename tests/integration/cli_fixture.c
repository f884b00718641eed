#include "tests/integration/cli_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 16

static char directory[] = "/tmp/test_cli.XXXXXX";
static char out[131072];
static char err[32768];

void
cli_enter(void)
{
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
}

void
cli_leave(void)
{
    char command[64];
    cr_assert_eq(chdir("/"), 0);
    (void)snprintf(command, sizeof(command), "rm -r %s", directory); /* fits */
    cr_assert_eq(system(command), 0);
}

void
cli_write(const char *path, const char *format, ...)
{
    FILE *const file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fchmod(fileno(file), 0600), 0); /* a password may be in it */
    va_list arguments;
    va_start(arguments, format);
    cr_assert_geq(vfprintf(file, format, arguments), 0);
    va_end(arguments);
    cr_assert_eq(fclose(file), 0);
}

static void
redirect(int to, const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, to) < 0 || close(fd) != 0) {
        _exit(127);
    }
}

static _Noreturn void
become(const char *arguments)
{
    char words[1000];
    char program[] = OUTBOX_RELAY;
    char *argv[WORDS_MAX + 2] = {program};
    int argc = 1;
    (void)snprintf(words, sizeof(words), "%s", arguments); /* fits */
    char *rest = words;
    char *word;
    while (argc <= WORDS_MAX && (word = strsep(&rest, " ")) != NULL) {
        if (word[0] != '\0') {
            argv[argc++] = word;
        }
    }
    (void)execv(program, argv); /* does not come back when it works */
    _exit(127);
}

static pid_t
start(const char *arguments, const char *stdout_path, const char *stderr_path)
{
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(127);
        }
        redirect(STDOUT_FILENO, stdout_path);
        redirect(STDERR_FILENO, stderr_path);
        become(arguments);
    }
    cr_assert_gt(child, 0);
    return child;
}

static void
read_file(const char *path, char *text, size_t size)
{
    FILE *const file = fopen(path, "r");
    cr_assert_not_null(file);
    const size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    cr_assert_eq(fclose(file), 0);
}

int
cli_wait(pid_t process)
{
    int status;
    cr_assert_eq(waitpid(process, &status, 0), process);
    cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

void
cli_end(pid_t *process)
{
    if (*process != 0) {
        cr_assert_eq(kill(*process, SIGTERM), 0);
        cr_assert_eq(cli_wait(*process), 0, "%s", err);
        *process = 0;
    }
}

int
cli(const char *arguments)
{
    const int status = cli_wait(start(arguments, "stdout", "stderr"));
    read_file("stdout", out, sizeof(out));
    read_file("stderr", err, sizeof(err));
    return status;
}

int
cli_finish(pid_t process)
{
    const int status = cli_wait(process);
    read_file("stdout", out, sizeof(out));
    read_file("log", err, sizeof(err));
    return status;
}

/* Adds what comes to `out`, without the terminal's carriage returns. False at the end. */
static bool
read_terminal(int fd, size_t *size)
{
    char bytes[1024];
    const ssize_t count = read(fd, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < count; i++) {
        if (bytes[i] != '\r' && *size < sizeof(out) - 1) {
            out[(*size)++] = bytes[i];
        }
    }
    out[*size] = '\0';
    return count > 0; /* at the end of the other side Linux says EIO */
}

int
cli_on_terminal(const char *arguments, unsigned short columns, const char *answer)
{
    const struct winsize window = {.ws_row = 50, .ws_col = columns};
    size_t size = 0;
    bool answered = false;
    int terminal;
    const pid_t child = forkpty(&terminal, NULL, NULL, &window);
    cr_assert_geq(child, 0);
    if (child == 0) {
        become(arguments);
    }
    while (read_terminal(terminal, &size)) {
        if (!answered && answer != NULL && strstr(out, "[y/N]") != NULL) {
            answered = true;
            cr_assert_eq(write(terminal, answer, strlen(answer)), (ssize_t)strlen(answer));
        }
    }
    cr_assert_eq(close(terminal), 0);
    err[0] = '\0';
    return cli_wait(child);
}

const char *
cli_stdout(void)
{
    return out;
}

const char *
cli_stderr(void)
{
    return err;
}

pid_t
cli_start(const char *arguments)
{
    (void)unlink("log"); /* of the run before, if there was one */
    return start(arguments, "stdout", "log");
}

void
cli_wait_for_log(const char *text)
{
    for (int i = 0; i < 6000; i++) {
        if (access("log", R_OK) == 0) {
            read_file("log", err, sizeof(err));
            if (strstr(err, text) != NULL) {
                return;
            }
        }
        (void)usleep(10000); /* shorter is fine */
    }
    cr_assert_fail("no \"%s\" within 60 s in:\n%s", text, err);
}

static bool
is_free(unsigned short port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    const bool is = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    cr_assert_eq(close(fd), 0);
    return is;
}

unsigned short
cli_free_port(void)
{
    unsigned short port;
    do {
        cr_assert_eq(getrandom(&port, sizeof(port), 0), (ssize_t)sizeof(port));
        port = (unsigned short)(15000 + port % 17000); /* as tests/services does */
    } while (!is_free(port));
    return port;
}
