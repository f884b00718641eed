#include "amqp/session.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/connection_private.h"
#include "base/clock.h"
#include "base/net/transport.h"

#define CONNECT_TIMEOUT_US (10 * CLOCK_S_US)
#define READ_SIZE ((size_t)64 << 10)
/* Read per session_process, so that one busy socket cannot starve the loop. */
#define READ_MAX ((size_t)256 << 10)
/* With more than this not taken as events, the socket waits: the owner is behind. */
#define UNREAD_MAX ((size_t)1 << 20)

struct session {
    struct amqp_endpoint endpoint;
    char *password;
    char *name;
    uint16_t heartbeat_s;
    uint64_t connect_timeout_us;
    size_t unread_max;
    struct tls_context *tls; /* NULL: plain TCP */
    struct transport *transport;
    struct rabbit *rabbit; /* NULL until the transport is ready */
    unsigned host;         /* the current or last one */
    unsigned tried;        /* since session_open */
    bool alone;            /* no other host is tried */
    bool used;             /* some host was tried before */
    bool opened;           /* RABBIT_OPENED was given */
    bool lost;             /* the stream is over; what it brought is still to be taken */
    bool hung_up;          /* the peer is gone, and there may be more to read */
    bool failed;           /* no connection; a RABBIT_CLOSED with `error` is to be given */
    bool refused_by_tls;   /* see session_refused_by_tls */
    struct error passed;   /* see session_passed_over; ERROR_CONFIG, or no text */
    bool read_more;        /* the last read stopped at its bound */
    uint64_t written;      /* bytes, to the socket */
    uint64_t now_us;
    uint64_t give_up_us; /* on the current host's handshake */
    struct error error;
    char peer[300];
    uint8_t scratch[READ_SIZE];
};

static bool
copy_text(char **ret_copy, const char *text)
{
    if (text == NULL) {
        return true;
    }
    *ret_copy = strdup(text);
    return *ret_copy != NULL;
}

static bool
copy_endpoint(struct amqp_endpoint *ret_copy, const struct amqp_endpoint *endpoint)
{
    *ret_copy = *endpoint;
    for (unsigned i = 0; i < AMQP_HOSTS_MAX; i++) {
        ret_copy->hosts[i].name = NULL;
    }
    ret_copy->user = ret_copy->password = ret_copy->vhost = ret_copy->ca_file = NULL;
    ret_copy->cert_file = ret_copy->key_file = ret_copy->server_name = NULL;
    bool done = copy_text(&ret_copy->user, endpoint->user) &&
                copy_text(&ret_copy->password, endpoint->password) &&
                copy_text(&ret_copy->vhost, endpoint->vhost) &&
                copy_text(&ret_copy->ca_file, endpoint->ca_file) &&
                copy_text(&ret_copy->cert_file, endpoint->cert_file) &&
                copy_text(&ret_copy->key_file, endpoint->key_file) &&
                copy_text(&ret_copy->server_name, endpoint->server_name);
    for (unsigned i = 0; done && i < endpoint->host_count; i++) {
        done = copy_text(&ret_copy->hosts[i].name, endpoint->hosts[i].name);
    }
    return done;
}

/* The password of the options, else of the URI, else "guest" for the user "guest". */
static bool
copy_password(struct session *session, const char *password)
{
    if (password == NULL) {
        password = session->endpoint.password;
    }
    if (password == NULL) {
        const bool guest =
            session->endpoint.user != NULL && strcmp(session->endpoint.user, "guest") == 0;
        password = guest ? "guest" : "";
    }
    return copy_text(&session->password, password);
}

static void
free_secret(char *secret)
{
    if (secret != NULL) {
        explicit_bzero(secret, strlen(secret));
        free(secret);
    }
}

bool
session_set_password(struct session *session, const char *password, struct error *reterr)
{
    char *fresh = NULL;
    if (!copy_text(&fresh, password)) {
        return error_set(reterr, ERROR_TRANSIENT, "out of memory");
    }
    if (fresh != NULL) {
        free_secret(session->password);
        session->password = fresh;
    }
    return true;
}

static uint64_t
timeout_of(const struct session_options *options)
{
    if (options->endpoint->connect_timeout_us > 0) {
        return options->endpoint->connect_timeout_us;
    }
    return options->connect_timeout_us > 0 ? options->connect_timeout_us : CONNECT_TIMEOUT_US;
}

static struct tls_context *
read_certificates(const struct session *session, struct error *reterr)
{
    const struct tls_files files = amqp_endpoint_tls_files(&session->endpoint);
    return tls_context_new(&files, session->endpoint.tls_verify, reterr);
}

struct session *
session_new(const struct session_options *options, struct error *reterr)
{
    assert(options->endpoint->host_count > 0);
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        error_set(reterr, ERROR_TRANSIENT, "out of memory");
        return NULL;
    }
    session->connect_timeout_us = timeout_of(options);
    session->unread_max = options->unread_max > 0 ? options->unread_max : UNREAD_MAX;
    if (session->unread_max > RABBIT_INPUT_MAX - READ_MAX) {
        session->unread_max = RABBIT_INPUT_MAX - READ_MAX;
    }
    session->heartbeat_s =
        options->endpoint->heartbeat_set ? options->endpoint->heartbeat_s : options->heartbeat_s;
    if (!copy_endpoint(&session->endpoint, options->endpoint) ||
        !copy_password(session, options->password) ||
        !copy_text(&session->name, options->connection_name)) {
        error_set(reterr, ERROR_TRANSIENT, "out of memory");
        session_free(session);
        return NULL;
    }
    if (session->endpoint.tls) {
        session->tls = read_certificates(session, reterr);
        if (session->tls == NULL) {
            session_free(session);
            return NULL;
        }
    }
    return session;
}

/* `end` is transport_free or transport_discard. */
static void
drop(struct session *session, void (*end)(struct transport *transport))
{
    rabbit_free(session->rabbit);
    session->rabbit = NULL;
    end(session->transport);
    session->transport = NULL;
    session->opened = false;
    session->lost = false;
    session->hung_up = false;
    session->read_more = false;
    session->give_up_us = CLOCK_NEVER_US;
}

void
session_free(struct session *session)
{
    if (session == NULL) {
        return;
    }
    drop(session, transport_free);
    tls_context_free(session->tls);
    free_secret(session->password);
    free(session->name);
    amqp_endpoint_done(&session->endpoint);
    free(session);
}

void
session_abort(struct session *session)
{
    drop(session, transport_discard);
    session->failed = false;
}

/* Names the host in front of the trouble. */
static void
note_error(struct session *session, const struct error *error)
{
    session->error = *error;
    (void)error_prefix(&session->error, "%s", session->peer);
}

static void
start_host(struct session *session)
{
    const struct amqp_host *host = &session->endpoint.hosts[session->host];
    const bool ipv6 = strchr(host->name, ':') != NULL;
    (void)snprintf(session->peer, sizeof(session->peer), ipv6 ? "[%s]:%u" : "%s:%u", host->name,
                   host->port);
    session->used = true;
    session->give_up_us = session->now_us + session->connect_timeout_us;
    session->transport =
        transport_new(host->name, host->port, session->tls, session->endpoint.server_name,
                      session->give_up_us, session->now_us);
}

/* Of several hosts, the one whose error needs a person is reported, even if another one that is only unreachable came after
 * it. */
static void
add_passed(struct session *session)
{
    if (session->passed.text[0] != '\0' && session->error.class != ERROR_CONFIG) {
        (void)error_set(&session->error, ERROR_CONFIG, "%s; and %s", session->passed.text,
                        session->error.text); /* always false */
    }
}

/* The current host cannot be used: on to the next, or the end. */
static void
host_failed(struct session *session, const struct error *error)
{
    note_error(session, error);
    drop(session, transport_discard);
    session->tried++;
    if (session->tried >= session->endpoint.host_count || session->alone) {
        session->failed = true;
        add_passed(session);
        return;
    }
    if (error->class == ERROR_CONFIG) {
        session->passed = session->error;
    }
    session->host = (session->host + 1) % session->endpoint.host_count;
    start_host(session);
}

static void
start_rabbit(struct session *session)
{
    session->rabbit = rabbit_new(&(struct rabbit_options){
        .vhost = session->endpoint.vhost,
        .user = session->endpoint.user,
        .password = session->password,
        .external = session->endpoint.external,
        .heartbeat_s = session->heartbeat_s,
        .connection_name = session->name,
    });
    if (session->rabbit == NULL) {
        struct error error;
        error_set(&error, ERROR_TRANSIENT, "out of memory");
        host_failed(session, &error);
        return;
    }
    rabbit_start(session->rabbit, session->now_us);
}

/* Makes progress with a transport that is not ready, over several hosts if they fail at once. */
static void
advance(struct session *session)
{
    while (session->rabbit == NULL && !session->failed) {
        struct error error;
        error_set(&error, ERROR_TRANSIENT, "out of memory");
        const enum transport_state state =
            session->transport == NULL ? TRANSPORT_FAILED
                                       : transport_process(session->transport, session->now_us);
        if (state == TRANSPORT_READY) {
            start_rabbit(session);
        } else if (state == TRANSPORT_FAILED) {
            if (session->transport != NULL) {
                error = *transport_error(session->transport);
                session->refused_by_tls |= error.class == ERROR_CONFIG;
            }
            host_failed(session, &error);
        } else {
            return;
        }
    }
}

/* Certificates are read again for every attempt: they get renewed under a running program. */
static bool
reload_certificates(struct session *session)
{
    if (!session->endpoint.tls) {
        return true;
    }
    struct tls_context *fresh = read_certificates(session, &session->error);
    if (fresh == NULL) {
        session->failed = true;
        return false;
    }
    tls_context_free(session->tls);
    session->tls = fresh;
    return true;
}

void
session_begin_at(struct session *session, unsigned host, bool alone)
{
    assert(host < session->endpoint.host_count);
    session->host = host;
    session->used = false; /* so it is the first */
    session->alone = alone;
}

void
session_open(struct session *session, uint64_t now_us)
{
    session_abort(session);
    session->now_us = now_us;
    session->refused_by_tls = false;
    session->passed.text[0] = '\0';
    if (!reload_certificates(session)) {
        session->refused_by_tls = true;
        return;
    }
    if (session->used) {
        session->host = (session->host + 1) % session->endpoint.host_count;
    }
    session->tried = 0;
    start_host(session);
    advance(session);
}

static bool
wants_input(const struct session *session)
{
    return rabbit_unread_bytes(session->rabbit) <= session->unread_max;
}

int
session_fd(const struct session *session)
{
    if (session->transport == NULL || session->lost) {
        return -1;
    }
    /* poll(2) reports a hang-up asked or not: while nothing is to be read, it would never wait. */
    if (session->hung_up && !wants_input(session)) {
        return -1;
    }
    return transport_fd(session->transport);
}

short
session_poll_events(const struct session *session)
{
    if (session->transport == NULL || session->lost) {
        return 0;
    }
    if (session->rabbit == NULL) {
        return transport_poll_events(session->transport);
    }
    int events = buffer_size(rabbit_output(session->rabbit)) > 0 ? POLLOUT : 0;
    if (wants_input(session)) {
        events |= POLLIN | transport_wanted_events(session->transport);
    }
    return (short)events;
}

static uint64_t
earlier(uint64_t a_us, uint64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

uint64_t
session_deadline_us(const struct session *session)
{
    if (session->failed || session->lost) {
        return 0;
    }
    if (session->transport == NULL) {
        return CLOCK_NEVER_US;
    }
    if (session->rabbit == NULL) {
        return earlier(session->give_up_us, transport_deadline_us(session->transport));
    }
    if (session->read_more && wants_input(session)) {
        return 0;
    }
    return earlier(session->give_up_us, rabbit_deadline_us(session->rabbit));
}

static void
note_lost(struct session *session)
{
    session->lost = true;
    session->read_more = false;
    session->error = *transport_error(session->transport);
}

static void
read_input(struct session *session)
{
    size_t total = 0;
    session->read_more = false;
    while (wants_input(session)) {
        const ssize_t got =
            transport_read(session->transport, session->scratch, sizeof(session->scratch));
        if (got < 0) {
            note_lost(session);
            return;
        }
        if (got == 0) {
            return;
        }
        rabbit_feed(session->rabbit, session->scratch, (size_t)got, session->now_us);
        total += (size_t)got;
        /* A TCP socket that gave less than asked is empty; TLS gives one record at a time. */
        if (total >= READ_MAX || (session->tls == NULL && (size_t)got < READ_SIZE)) {
            break;
        }
    }
    session->read_more = transport_pending(session->transport);
}

/* The socket takes no more. What the broker said before it hung up, maybe why, is still there to
 * read. */
static void
write_failed(struct session *session)
{
    struct error error = *transport_error(session->transport);
    read_input(session);
    if (!session->lost) {
        session->lost = true;
        session->error = error;
    }
}

void
session_flush(struct session *session, uint64_t now_us)
{
    session->now_us = now_us;
    if (session->rabbit == NULL || session->lost) {
        return;
    }
    const struct buffer *output = rabbit_output(session->rabbit);
    while (buffer_size(output) > 0) {
        const size_t size = buffer_size(output);
        const ssize_t written = transport_write(session->transport, buffer_front(output), size);
        if (written < 0) {
            write_failed(session);
            return;
        }
        if (written == 0) {
            return;
        }
        session->written += (uint64_t)written;
        rabbit_written(session->rabbit, (size_t)written, now_us);
        /* A TCP socket that took less than all is full; TLS takes one record at a time. */
        if ((size_t)written < size && session->tls == NULL) {
            return;
        }
    }
}

static void
check_deadline(struct session *session)
{
    if (session->now_us < session->give_up_us || session->lost) {
        return;
    }
    struct error error;
    error_set(&error, ERROR_CONNECTION, "no connection within %llu ms",
              (unsigned long long)(session->connect_timeout_us / CLOCK_MS_US));
    host_failed(session, &error);
    advance(session);
}

void
session_process(struct session *session, short revents, uint64_t now_us)
{
    session->now_us = now_us;
    if (session->transport == NULL || session->lost) {
        return;
    }
    if (session->rabbit == NULL) {
        advance(session);
    } else if ((revents & ~POLLOUT) != 0 || session->tls != NULL) {
        session->hung_up = (revents & (POLLHUP | POLLERR)) != 0;
        read_input(session);
    }
    if (session->rabbit != NULL) {
        rabbit_tick(session->rabbit, now_us);
        session_flush(session, now_us);
    }
    check_deadline(session);
}

static void
give_failure(struct session *session, struct rabbit_event *ret_event)
{
    session->failed = false;
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->type = RABBIT_CLOSED;
    ret_event->error = session->error;
}

/* The connection says that it is over. True if the owner is to hear it now. */
static bool
connection_over(struct session *session, struct rabbit_event *ret_event)
{
    session_flush(session, session->now_us); /* our close-ok, as a courtesy */
    const bool told = session->opened;
    const struct error error = ret_event->error;
    if (!told) {
        host_failed(session, &error);
        advance(session);
        return false;
    }
    if (strcmp(error.text, "closed") != 0) {
        (void)error_prefix(&ret_event->error, "%s", session->peer);
    }
    drop(session, transport_free);
    return true;
}

/* The stream is over and all that it brought is taken. True if the owner is to hear it now. */
static bool
stream_over(struct session *session, struct rabbit_event *ret_event)
{
    struct error error = session->error;
    session->refused_by_tls |= error.class == ERROR_CONFIG;
    if (!session->opened) {
        error_set(&error, error.class, "%s, in the handshake", session->error.text);
        host_failed(session, &error);
        advance(session);
        return false;
    }
    note_error(session, &error);
    drop(session, transport_discard);
    give_failure(session, ret_event);
    return true;
}

bool
session_next(struct session *session, struct rabbit_event *ret_event)
{
    while (session->rabbit != NULL) {
        if (rabbit_next(session->rabbit, ret_event)) {
            if (ret_event->type == RABBIT_CLOSED) {
                if (connection_over(session, ret_event)) {
                    return true;
                }
                continue;
            }
            if (ret_event->type == RABBIT_OPENED) {
                session->opened = true;
                session->give_up_us = CLOCK_NEVER_US;
            }
            return true;
        }
        if (!session->lost) {
            return false;
        }
        if (stream_over(session, ret_event)) {
            return true;
        }
    }
    if (session->failed) {
        give_failure(session, ret_event);
        return true;
    }
    return false;
}

size_t
session_queued_bytes(const struct session *session)
{
    return session->rabbit != NULL ? buffer_size(rabbit_output(session->rabbit)) : 0;
}

uint64_t
session_out_bytes(const struct session *session)
{
    return session->written + session_queued_bytes(session);
}

uint64_t
session_taken_bytes(const struct session *session)
{
    const uint64_t unsent = session->transport == NULL ? 0 : transport_unsent(session->transport);
    return session->written > unsent ? session->written - unsent : 0;
}

struct rabbit *
session_rabbit(struct session *session)
{
    return session->rabbit;
}

unsigned
session_host(const struct session *session)
{
    return session->host;
}

const char *
session_peer(const struct session *session)
{
    return session->peer;
}

bool
session_tls_peer(const struct session *session, struct tls_peer *ret_peer)
{
    return session->transport != NULL && transport_tls_peer(session->transport, ret_peer);
}

bool
session_refused_by_tls(const struct session *session)
{
    return session->refused_by_tls;
}

const char *
session_passed_over(const struct session *session)
{
    return session->passed.text[0] != '\0' ? session->passed.text : NULL;
}
