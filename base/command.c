#include "base/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/utf8.h"

#define WORDS_BYTES 200
#define READ_BYTES 4096
/* After the shell has ended, no more is read than a pipe holds. */
#define LAST_READS 16

extern char **environ;

struct command {
    atomic_int holders; /* who started it, and the thread; the last one frees */
    atomic_bool done;
    int event_fd;
    pthread_mutex_t mutex; /* for the next two */
    pid_t pid;             /* of the shell, which is not waited for yet; 0: there is none */
    bool cancelled;
    char *line;
    uint64_t timeout_us;
    uint64_t deadline_us;
    /* The thread's until it is done: */
    bool good;
    struct error error;
    char words[WORDS_BYTES + 1]; /* the first line of its standard error */
    size_t words_size;
    bool words_over;
    size_t output_max;
    size_t output_size;
    char output[]; /* output_max + 1 */
};

/* The ends of the pipes that are read here. */
struct watch {
    int process;
    int output;
    int words;
};

enum ending { ENDING_EXIT, ENDING_TIME, ENDING_OUTPUT };

static void
release(struct command *self)
{
    if (atomic_fetch_sub(&self->holders, 1) > 1) {
        return;
    }
    (void)close(self->event_fd); /* may be -1; has no data that could be lost */
    pthread_mutex_destroy(&self->mutex);
    explicit_bzero(self->output, self->output_max + 1);
    free(self->line);
    free(self);
}

/* The number of a process that is not waited for yet belongs to no other process, nor does that of its group. */
static void
kill_group(struct command *self)
{
    if (self->pid > 0) {
        (void)kill(-self->pid, SIGKILL); /* it may be over already */
    }
}

/* ---- reading -------------------------------------------------------------------------------------------- */

/* Bytes read; 0: none are there now; -1: none will come. */
static ssize_t
read_some(int fd, char *buffer, size_t size)
{
    const ssize_t got = read(fd, buffer, size);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    return got > 0 ? got : -1;
}

static ssize_t
read_output(struct command *self, int fd)
{
    const size_t room = self->output_max + 1 - self->output_size;
    const ssize_t got = room > 0 ? read_some(fd, self->output + self->output_size, room) : -1;
    self->output_size += got > 0 ? (size_t)got : 0;
    return got;
}

/* Empty lines before the first one are skipped. */
static void
keep_words(struct command *self, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !self->words_over; i++) {
        if (bytes[i] != '\n' && self->words_size < WORDS_BYTES) {
            self->words[self->words_size++] = bytes[i];
        } else {
            self->words_over = self->words_size > 0;
        }
    }
}

static ssize_t
read_words(struct command *self, int fd)
{
    char buffer[READ_BYTES];
    const ssize_t got = read_some(fd, buffer, sizeof(buffer));
    if (got > 0) {
        keep_words(self, buffer, (size_t)got);
    }
    explicit_bzero(buffer, sizeof(buffer));
    return got;
}

/* What was written before the end; others that still have the pipe open are not waited for. */
static void
read_last(struct command *self, const struct watch *watch)
{
    ssize_t output = 1;
    ssize_t words = 1;
    for (int i = 0; i < LAST_READS && (output > 0 || words > 0); i++) {
        output = output > 0 && watch->output >= 0 ? read_output(self, watch->output) : -1;
        words = words > 0 && watch->words >= 0 ? read_words(self, watch->words) : -1;
    }
}

static enum ending
attend(struct command *self, const struct watch *watch)
{
    struct pollfd polls[] = {
        {.fd = watch->process, .events = POLLIN},
        {.fd = watch->output, .events = POLLIN},
        {.fd = watch->words, .events = POLLIN},
    };
    for (;;) {
        const uint64_t now_us = clock_monotonic_us();
        if (now_us >= self->deadline_us) {
            return ENDING_TIME;
        }
        if (poll(polls, 3, clock_poll_timeout_ms(now_us, self->deadline_us)) <= 0) {
            continue;
        }
        if (polls[0].revents != 0) {
            read_last(self, &(struct watch){-1, polls[1].fd, polls[2].fd});
            return self->output_size > self->output_max ? ENDING_OUTPUT : ENDING_EXIT;
        }
        if (polls[1].revents != 0 && read_output(self, watch->output) < 0) {
            polls[1].fd = -1;
        }
        if (polls[2].revents != 0 && read_words(self, watch->words) < 0) {
            polls[2].fd = -1;
        }
        if (self->output_size > self->output_max) {
            return ENDING_OUTPUT;
        }
    }
}

/* ---- the error ------------------------------------------------------------------------------------------ */

static bool
is_output_in_words(const struct command *self)
{
    size_t size = self->output_size;
    while (size > 0 && (self->output[size - 1] == '\n' || self->output[size - 1] == '\r')) {
        size--;
    }
    return size > 0 && memmem(self->words, self->words_size, self->output, size) != NULL;
}

static void
clean_words(struct command *self)
{
    const bool is_text = utf8_is_text(self->words, self->words_size);
    for (size_t i = 0; i < self->words_size; i++) {
        const unsigned char byte = (unsigned char)self->words[i];
        if (byte < ' ' || byte == 0x7f || (byte >= 0x80 && !is_text)) {
            self->words[i] = '?';
        }
    }
}

static void
fail(struct command *self, enum error_class class, const char *how)
{
    clean_words(self);
    if (self->words_size == 0) {
        (void)error_set(&self->error, class, "%s", how); /* always false */
    } else if (is_output_in_words(self)) {
        (void)error_set(&self->error, class, "%s; its error has its output in it, and is not shown",
                        how);
    } else {
        (void)error_set(&self->error, class, "%s: %.*s", how, (int)self->words_size, self->words);
    }
}

static void
judge_status(struct command *self, int status)
{
    char how[60];
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    self->good = WIFEXITED(status) && code == 0;
    if (WIFSIGNALED(status)) {
        (void)snprintf(how, sizeof(how), "it was ended by signal %d", WTERMSIG(status)); /* fits */
    } else {
        (void)snprintf(how, sizeof(how), "it ended with exit status %d", code); /* fits */
    }
    if (!self->good) {
        /* The shell's: cannot be run, not found. */
        fail(self, code == 126 || code == 127 ? ERROR_CONFIG : ERROR_CONNECTION, how);
    }
}

static void
judge_excess(struct command *self, enum ending ending)
{
    char how[80];
    char time[TEXT_UNIT_BYTES];
    text_format_duration(self->timeout_us, time);
    if (ending == ENDING_TIME) {
        (void)snprintf(how, sizeof(how), "it took longer than %s and was killed", time); /* fits */
    } else {
        (void)snprintf(how, sizeof(how), "it wrote more than %zu bytes", self->output_max);
    }
    fail(self, ERROR_CONNECTION, how);
}

/* ---- the thread ----------------------------------------------------------------------------------------- */

static void
finish(struct command *self)
{
    const uint64_t one = 1;
    atomic_store(&self->done, true);
    (void)!write(self->event_fd, &one, sizeof(one)); /* an eventfd that counts to one is not full */
}

static int
wait_for(struct command *self)
{
    int status = 0;
    pthread_mutex_lock(&self->mutex);
    const pid_t pid = self->pid;
    self->pid = 0; /* from here on its number may become another's */
    pthread_mutex_unlock(&self->mutex);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* Whatever the shell has left behind in its group ends with it. A killed process may take long to end, if it waits for a
 * disk or a file server: its owner does not wait for it. */
static void
see_through(struct command *self, const struct watch *watch)
{
    const enum ending ending = attend(self, watch);
    pthread_mutex_lock(&self->mutex);
    kill_group(self);
    const bool cancelled = self->cancelled;
    pthread_mutex_unlock(&self->mutex);
    if (cancelled) {
        fail(self, ERROR_TRANSIENT, "it was not waited for");
    } else if (ending == ENDING_EXIT) {
        judge_status(self, wait_for(self));
    } else {
        judge_excess(self, ending);
    }
    finish(self);
    if (self->pid > 0) {
        (void)wait_for(self); /* nobody asks how it ended */
    }
}

static int
spawn(const struct command *self, int output, int words, pid_t *ret_pid)
{
    char name[] = "sh";
    char option[] = "-c";
    char *const arguments[] = {name, option, self->line, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none); /* these cannot fail */
    (void)sigfillset(&all);
    int failure = posix_spawn_file_actions_init(&files);
    if (failure != 0) {
        return failure;
    }
    (void)posix_spawnattr_init(&attributes); /* none of these needs memory */
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    failure = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    failure = failure != 0 ? failure : posix_spawn_file_actions_adddup2(&files, output, 1);
    failure = failure != 0 ? failure : posix_spawn_file_actions_adddup2(&files, words, 2);
    failure = failure != 0 ? failure : posix_spawn_file_actions_addclosefrom_np(&files, 3);
    failure = failure != 0
                  ? failure
                  : posix_spawn(ret_pid, "/bin/sh", &files, &attributes, arguments, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return failure;
}

/* Holding the mutex, so that a cancel comes before or finds the process. */
static int
begin(struct command *self, int output, int words, int *ret_process)
{
    pid_t pid = 0;
    pthread_mutex_lock(&self->mutex);
    int failure = self->cancelled ? ECANCELED : spawn(self, output, words, &pid);
    self->pid = pid;
    *ret_process = failure == 0 ? pidfd_open(pid, 0) : -1;
    if (failure == 0 && *ret_process < 0) {
        failure = errno;
        kill_group(self);
    }
    pthread_mutex_unlock(&self->mutex);
    if (failure != 0 && pid > 0) {
        (void)wait_for(self); /* nobody asks how it ended */
    }
    return failure;
}

static int
open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0) {
        ends[0] = ends[1] = -1;
        return errno;
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK); /* cannot fail on a pipe */
    return 0;
}

static void
close_pipe(const int ends[2])
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            (void)close(ends[i]); /* was only read, or written by others */
        }
    }
}

static void
run(struct command *self)
{
    int output[2];
    int words[2];
    int process = -1;
    int failure = open_pipe(output);
    const int second = open_pipe(words);
    failure = failure != 0 ? failure : second;
    failure = failure != 0 ? failure : begin(self, output[1], words[1], &process);
    if (failure == 0) {
        (void)close(output[1]); /* the shell has its own */
        (void)close(words[1]);
        output[1] = words[1] = -1;
        see_through(self, &(struct watch){process, output[0], words[0]});
        (void)close(process); /* only a handle */
    } else {
        (void)error_set(&self->error, ERROR_TRANSIENT, "/bin/sh cannot be started: %s",
                        strerror(failure)); /* always false */
        finish(self);
    }
    close_pipe(output);
    close_pipe(words);
}

static void *
run_thread(void *argument)
{
    struct command *self = argument;
    run(self);
    release(self);
    return NULL;
}

/* Detached and with all signals blocked: they belong to the program's own threads. */
static int
start_thread(struct command *self)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    (void)sigfillset(&all); /* cannot fail */
    int failure = pthread_attr_init(&attributes);
    if (failure != 0) {
        return failure;
    }
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED); /* cannot fail */
    failure = pthread_attr_setsigmask_np(&attributes, &all);
    atomic_fetch_add(&self->holders, 1);
    failure = failure != 0 ? failure : pthread_create(&thread, &attributes, run_thread, self);
    (void)pthread_attr_destroy(&attributes);
    if (failure != 0) {
        atomic_fetch_sub(&self->holders, 1);
    }
    return failure;
}

/* ---- the owner's ---------------------------------------------------------------------------------------- */

/* The reason why it cannot be started; 0: it was. */
static int
set_up(struct command *self, const char *line)
{
    self->line = strdup(line);
    self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return self->line == NULL ? ENOMEM : self->event_fd < 0 ? errno : start_thread(self);
}

struct command *
command_start(const char *line, uint64_t timeout_us, size_t output_max, struct error *reterr)
{
    struct command *const self = calloc(1, sizeof(*self) + output_max + 1);
    if (self == NULL) {
        (void)error_set(reterr, ERROR_TRANSIENT, "out of memory"); /* always false */
        return NULL;
    }
    atomic_init(&self->holders, 1);
    (void)pthread_mutex_init(&self->mutex, NULL); /* cannot fail on Linux */
    self->timeout_us = timeout_us;
    self->deadline_us = clock_monotonic_us() + timeout_us;
    self->output_max = output_max;
    const int failure = set_up(self, line);
    if (failure != 0) {
        (void)error_set(reterr, ERROR_TRANSIENT, "a command cannot be started: %s",
                        strerror(failure)); /* always false */
        release(self);
        return NULL;
    }
    return self;
}

int
command_fd(const struct command *command)
{
    return command->event_fd;
}

bool
command_take(struct command *command, char **ret_output, size_t *ret_size, struct error *reterr)
{
    if (!atomic_load(&command->done)) {
        return false;
    }
    *ret_output = command->good ? command->output : NULL;
    *ret_size = command->output_size;
    if (!command->good) {
        *reterr = command->error;
    }
    return true;
}

void
command_cancel(struct command *command)
{
    pthread_mutex_lock(&command->mutex);
    command->cancelled = true;
    kill_group(command);
    pthread_mutex_unlock(&command->mutex);
}

void
command_free(struct command *command)
{
    if (command != NULL) {
        command_cancel(command);
        release(command);
    }
}
