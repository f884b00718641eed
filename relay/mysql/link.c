#include "relay/mysql/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/mysql/client.h"
#include "base/mysql/connect.h"
#include "relay/config/password.h"
#include "relay/config/secret.h"
#include "relay/mysql/error.h"
#include "relay/mysql/session.h"

#define TEXT_KEEP_BYTES ((size_t)256 << 10)
#define TEXT_MAX_BYTES ((size_t)64 << 20) /* more than max_allowed_packet is by default */

struct queue {
    struct my_job *first;
    struct my_job **end;
};

struct my_link {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a job was added, or it is to stop */
    pthread_cond_t over; /* the session has ended */
    struct queue jobs;   /* to be run */
    struct queue back;   /* have been run */
    const char *words;   /* of the job that is being run */
    int wake_fd;         /* an eventfd: a job is back */
    /* A duplicate of the session's socket, as the library may close its own at any time; -1: there is none yet. */
    int socket;
    int host;
    struct password password; /* asked for by the thread, ended by the owner */
    atomic_bool stopping;     /* written with the mutex; jobs read it without */
    bool abandoned;           /* nobody joins the thread: it frees the link itself */
    bool ended;
    /* Used by the owner: */
    size_t outstanding; /* jobs that are not back */
    uint64_t put_us;    /* when the last of them was added */
    /* Used by the thread: */
    struct my_session session;
    struct my_job connect;
    int only_host;
    char *dsn;                   /* a copy, as the thread may outlive the configuration */
    struct config_password from; /* likewise */
    char name[64];
    unsigned silence_s;
    uint64_t beat_us; /* when the job began, or the owner was woken since */
};

/* ---- jobs ----------------------------------------------------------------------------------------------- */

static void
queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

static void
queue_put(struct queue *queue, struct my_job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
}

static struct my_job *
queue_take(struct queue *queue)
{
    struct my_job *const job = queue->first;
    if (job != NULL) {
        queue->first = job->next;
        if (queue->first == NULL) {
            queue->end = &queue->first;
        }
    }
    return job;
}

static void
wake_owner(struct my_link *link)
{
    const uint64_t one = 1;
    const ssize_t written = write(link->wake_fd, &one, sizeof(one));
    assert(written == sizeof(one)); /* fails only at 2^64 - 2 signals */
    (void)written;                  /* only asserted */
}

/* The answers within a long job renew the lease, so the owner must learn of them in time: when the next statement is sent. (Of
 * the last one it learns with the job.) */
static void
beat(void *context)
{
    struct my_link *link = context;
    const uint64_t now_us = clock_monotonic_us();
    if (now_us - link->beat_us >= link->session.config->takeover_us / 8) {
        link->beat_us = now_us;
        wake_owner(link);
    }
}

static void
carry_out(struct my_link *link, struct my_job *job)
{
    struct my_session *session = &link->session;
    job->sent_us = clock_monotonic_us();
    link->beat_us = job->sent_us;
    session->broken = false;
    session->code = 0;
    job->ok = job->run(session, job);
    atomic_store(&session->sent_us, 0);
    if (!job->ok) {
        job->broken = session->broken;
        job->code = session->code;
        job->error = session->error;
    }
}

/* ---- the thread ----------------------------------------------------------------------------------------- */

static bool
goes_on(void *context)
{
    struct my_link *link = context;
    pthread_mutex_lock(&link->mutex);
    const bool stopping = link->stopping;
    pthread_mutex_unlock(&link->mutex);
    atomic_store(&link->session.sent_us, clock_monotonic_us());
    return !stopping;
}

/* From now on the owner can end every wait of this thread. */
static bool
show_socket(struct my_link *link, int host)
{
    const int copy = fcntl(mysql_client_socket(link->session.mysql), F_DUPFD_CLOEXEC, 0);
    pthread_mutex_lock(&link->mutex);
    link->socket = copy;
    link->host = host;
    const bool stopping = link->stopping;
    pthread_mutex_unlock(&link->mutex);
    return copy >= 0 && !stopping;
}

static MYSQL *
connect_with(struct my_link *link, const struct dsn *dsn, const char *password, int *ret_host,
             struct error *reterr)
{
    const struct mysql_connect_options options = {
        .dsn = dsn,
        .password = password,
        .program_name = link->name,
        .silence_s = link->silence_s,
        .writes = true,
        .only_host = link->only_host,
        .goes_on = goes_on,
        .context = link,
    };
    return mysql_connect_by_dsn(&options, ret_host, NULL, reterr);
}

/* The owner may end the command meanwhile. */
static bool
find_password(struct my_link *link, char **ret_password, struct error *reterr)
{
    pthread_mutex_lock(&link->mutex);
    enum password_state state = password_begin(&link->password, &link->from, ret_password, reterr);
    if (link->stopping) {
        password_cancel(&link->password);
    }
    pthread_mutex_unlock(&link->mutex);
    while (state == PASSWORD_WAITS) {
        struct pollfd wait = {.fd = password_fd(&link->password), .events = POLLIN};
        (void)poll(&wait, 1, -1); /* the command's own time bounds it */
        pthread_mutex_lock(&link->mutex);
        state = password_look(&link->password, ret_password, reterr);
        pthread_mutex_unlock(&link->mutex);
    }
    return state == PASSWORD_HERE;
}

/* The files are checked again, as they may have changed since the start. */
static MYSQL *
connect_by_files(struct my_link *link, int *ret_host, struct error *reterr)
{
    struct dsn dsn;
    char *password = NULL;
    MYSQL *mysql = NULL;
    if (!dsn_mysql_parse(link->dsn, &dsn, reterr)) {
        return NULL;
    }
    if (dsn_mysql_files_check(&dsn, reterr) && find_password(link, &password, reterr)) {
        mysql = connect_with(link, &dsn, password, ret_host, reterr);
        config_secret_free(password);
    }
    dsn_done(&dsn);
    return mysql;
}

static bool
connect_run(struct my_session *session, struct my_job *job)
{
    struct my_link *link = (struct my_link *)((char *)job - offsetof(struct my_link, connect));
    int host = 0;
    session->broken = true;
    session->mysql = connect_by_files(link, &host, &session->error);
    if (session->mysql == NULL) {
        return false;
    }
    if (!show_socket(link, host)) {
        return error_set(&session->error, ERROR_TRANSIENT, "a socket cannot be duplicated: %s",
                         strerror(errno));
    }
    session->broken = false;
    session->is_mariadb = strstr(mysql_get_server_info(session->mysql), "MariaDB") != NULL;
    return true;
}

static struct my_job *
wait_for_job(struct my_link *link)
{
    pthread_mutex_lock(&link->mutex);
    while (link->jobs.first == NULL && !link->stopping) {
        pthread_cond_wait(&link->work, &link->mutex);
    }
    struct my_job *const job = link->stopping ? NULL : queue_take(&link->jobs);
    link->words = job != NULL ? job->words : "";
    pthread_mutex_unlock(&link->mutex);
    return job;
}

static void
give_back(struct my_link *link, struct my_job *job)
{
    pthread_mutex_lock(&link->mutex);
    queue_put(&link->back, job);
    pthread_mutex_unlock(&link->mutex);
    wake_owner(link);
}

static void
free_link(struct my_link *link)
{
    if (link->socket >= 0) {
        (void)close(link->socket); /* the session is over */
    }
    (void)close(link->wake_fd); /* an eventfd has no data that could be lost */
    buffer_done(&link->session.text);
    config_secret_free(link->dsn);
    memory_free(link->from.file);
    config_secret_free(link->from.command);
    pthread_cond_destroy(&link->over);
    pthread_cond_destroy(&link->work);
    pthread_mutex_destroy(&link->mutex);
    memory_free(link);
}

static atomic_uint abandoned_threads;

static void
end_session(struct my_link *link)
{
    if (link->session.mysql != NULL) {
        mysql_close(link->session.mysql);
    }
    mysql_thread_end();
    pthread_mutex_lock(&link->mutex);
    link->ended = true;
    const bool abandoned = link->abandoned;
    pthread_cond_signal(&link->over);
    pthread_mutex_unlock(&link->mutex);
    if (abandoned) {
        free_link(link);
        atomic_fetch_sub(&abandoned_threads, 1);
    }
}

static void *
thread_main(void *argument)
{
    struct my_link *link = argument;
    struct my_job *job = &link->connect;
    while (job != NULL) {
        carry_out(link, job);
        const bool broken = !job->ok && job->broken;
        give_back(link, job);
        job = broken ? NULL : wait_for_job(link);
    }
    end_session(link);
    return NULL;
}

/* The thread blocks all signals: others handle them, and a write to a closed socket must not raise SIGPIPE. */
static bool
start_thread(struct my_link *link, struct error *reterr)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* cannot fail */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failure = pthread_create(&link->thread, NULL, thread_main, link);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0 ||
           error_set(reterr, ERROR_TRANSIENT, "cannot start a thread: %s", strerror(failure));
}

/* ---- the owner's ---------------------------------------------------------------------------------------- */

static char *
copy_of(const char *text)
{
    return text != NULL ? memory_string(text) : NULL;
}

static void
init_link(struct my_link *link, const struct source_config *config)
{
    const uint64_t silence_s = 2 * (config->takeover_us + CLOCK_S_US - 1) / CLOCK_S_US;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* none of these fails on Linux */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&link->mutex, NULL);
    (void)pthread_cond_init(&link->work, NULL);
    (void)pthread_cond_init(&link->over, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    queue_init(&link->jobs);
    queue_init(&link->back);
    link->socket = -1;
    link->dsn = memory_string(config->dsn);
    link->from = (struct config_password){
        .file = copy_of(config->password.file),
        .command = copy_of(config->password.command),
        .timeout_us = config->password.timeout_us,
    };
    (void)snprintf(link->name, sizeof(link->name), "outbox-relay %s",
                   config->name);          /* cut is fine */
    link->silence_s = (unsigned)silence_s; /* the owner gives up earlier, after one lease */
    link->session.config = config;
    link->session.beat = beat;
    link->session.beat_context = link;
    buffer_init(&link->session.text, TEXT_KEEP_BYTES, TEXT_MAX_BYTES);
}

static void
prepare_library(void)
{
    (void)mysql_library_init(0, NULL, NULL); /* if memory is short, mysql_init fails as well */
}

struct my_link *
my_link_start(const struct source_config *config, int only_host,
              void (*connected)(struct source_mysql *self, struct my_job *job, uint64_t now_us),
              struct error *reterr)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct my_link *link = memory_array(1, sizeof(*link));
    /* Before any thread uses it: it is not safe in threads. */
    (void)pthread_once(&once, prepare_library);
    init_link(link, config);
    link->only_host = only_host;
    link->connect = (struct my_job){.run = connect_run, .done = connected, .words = "to connect"};
    link->words = link->connect.words;
    link->outstanding = 1;
    link->put_us = clock_monotonic_us();
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const bool good =
        link->wake_fd >= 0 || error_set(reterr, ERROR_TRANSIENT, "eventfd: %s", strerror(errno));
    if (!good || !start_thread(link, reterr)) {
        free_link(link);
        return NULL;
    }
    return link;
}

int
my_link_host(const struct my_link *link)
{
    return link->host; /* does not change once it is connected */
}

const atomic_bool *
my_link_stopping(const struct my_link *link)
{
    return &link->stopping;
}

int
my_link_fd(const struct my_link *link)
{
    return link->wake_fd;
}

void
my_link_put(struct my_link *link, struct my_job *job)
{
    job->broken = false;
    link->outstanding++;
    link->put_us = clock_monotonic_us();
    pthread_mutex_lock(&link->mutex);
    queue_put(&link->jobs, job);
    pthread_cond_signal(&link->work);
    pthread_mutex_unlock(&link->mutex);
}

struct my_job *
my_link_take(struct my_link *link)
{
    uint64_t count;
    pthread_mutex_lock(&link->mutex);
    struct my_job *const job = queue_take(&link->back);
    if (link->back.first == NULL) {
        const ssize_t taken = read(link->wake_fd, &count, sizeof(count));
        (void)taken; /* it may be zero already */
    }
    pthread_mutex_unlock(&link->mutex);
    link->outstanding -= job != NULL ? 1 : 0;
    return job;
}

uint64_t
my_link_answered_us(const struct my_link *link)
{
    return atomic_load(&link->session.answered_us);
}

uint64_t
my_link_waits_since_us(const struct my_link *link)
{
    const uint64_t sent_us = atomic_load(&link->session.sent_us);
    return link->outstanding == 0 ? 0 : sent_us > 0 ? sent_us : link->put_us;
}

const char *
my_link_words(struct my_link *link)
{
    pthread_mutex_lock(&link->mutex);
    const char *const words = link->words;
    pthread_mutex_unlock(&link->mutex);
    return words;
}

uint64_t
my_link_heard_us(struct my_link *link, uint64_t now_us)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    pthread_mutex_lock(&link->mutex);
    const int socket = link->socket;
    pthread_mutex_unlock(&link->mutex);
    if (socket < 0 || getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
        return 0;
    }
    const uint64_t ago_us = info.tcpi_last_data_recv * CLOCK_MS_US;
    return ago_us < now_us ? now_us - ago_us : 0;
}

static struct timespec
time_of(uint64_t monotonic_us)
{
    return (struct timespec){.tv_sec = (time_t)(monotonic_us / CLOCK_S_US),
                             .tv_nsec = (long)(monotonic_us % CLOCK_S_US * 1000)};
}

/* The mutex is locked. */
static void
wait_for_end(struct my_link *link, uint64_t patience_us)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    const uint64_t now_us = (uint64_t)now.tv_sec * CLOCK_S_US + (uint64_t)now.tv_nsec / 1000;
    const struct timespec until = time_of(now_us + patience_us);
    int failure = 0;
    while (!link->ended && failure == 0) {
        failure = pthread_cond_timedwait(&link->over, &link->mutex, &until);
    }
}

/* Seen: a thread that is still connecting crashes in OpenSSL while that cleans up at the end of the process. So with
 * such a thread the process ends without clean-up. Exit handlers run in reverse order, and OpenSSL's was registered
 * when the library was initialised, so this one comes first. */
static void
leave(int status, void *unused)
{
    (void)unused;
    if (atomic_load(&abandoned_threads) > 0) {
        (void)fflush(NULL); /* an error could not be reported any more */
        _exit(status);
    }
}

static void
prepare_to_leave(void)
{
    (void)on_exit(leave, NULL); /* without memory it may crash at exit, after all work is done */
}

/* The mutex is locked. True if the thread is left alone: it is connecting, and nothing can end that. */
static bool
abandon(struct my_link *link)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    link->abandoned = link->socket < 0 && !link->ended;
    if (link->abandoned) {
        atomic_fetch_add(&abandoned_threads, 1);
        (void)pthread_once(&once, prepare_to_leave);
    }
    return link->abandoned;
}

void
my_link_stop(struct my_link *link, uint64_t patience_us)
{
    if (link == NULL) {
        return;
    }
    pthread_mutex_lock(&link->mutex);
    link->stopping = true;
    password_cancel(&link->password);
    pthread_cond_signal(&link->work);
    if (patience_us > 0) {
        wait_for_end(link, patience_us);
    }
    const bool abandoned = abandon(link);
    if (link->socket >= 0) {
        (void)shutdown(link->socket, SHUT_RDWR); /* it may be gone already */
    }
    const pthread_t thread = link->thread;
    pthread_mutex_unlock(&link->mutex);
    if (abandoned) {
        (void)pthread_detach(thread); /* from now on the thread may free the link */
    } else {
        (void)pthread_join(thread, NULL);
        free_link(link);
    }
}
