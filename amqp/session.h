/* amqp/session.h - a rabbit connection over a socket: name look-up, TCP or TLS to the hosts of a
 * URI in turn, bytes moved both ways. Never blocks; the owner polls one descriptor. One thread at a
 * time.
 *
 *   session_open → poll(session_fd, session_poll_events, until session_deadline_us) →
 * session_process → session_next …
 *
 * session_open tries every host once, starting with the one after the host that was used last; when
 * all have failed, RABBIT_CLOSED is the event, its text naming the last host's trouble. When to
 * call session_open again is the owner's choice (base/backoff.h). Passwords appear in no text. */
#ifndef AMQP_SESSION_H
#define AMQP_SESSION_H

#include "amqp/connection.h"
#include "amqp/uri.h"
#include "base/net/tls.h"

struct session;

struct session_options {
    const struct amqp_endpoint *endpoint; /* parsed URI (amqp/uri.h); copied */
    const char *password;                 /* overrides the URI's; may be NULL; copied */
    const char *connection_name;          /* may be NULL; copied */
    uint16_t heartbeat_s;                 /* used when the URI names none */
    uint64_t connect_timeout_us;          /* per host, until the handshake is done; 0 = 10 s */
    /* With more bytes not taken as events, the socket is not read, heartbeats included; 0 = 1 MiB; SIZE_MAX where a prefetch
     * bounds it already. */
    size_t unread_max;
};

struct session *session_new(const struct session_options *options, struct error *reterr);
void session_free(struct session *session); /* closes the socket at once */

/* The password of connections that are begun from now on, instead of the options'; copied. NULL changes nothing. False
 * with *reterr when memory is out. */
bool session_set_password(struct session *session, const char *password,
                          struct error *reterr) MUST_CHECK;

/* The next session_open begins with this host, by its place in the URI. alone: from now on no other is tried, until the next
 * call of this. */
void session_begin_at(struct session *session, unsigned host, bool alone);

/* Starts connecting; drops whatever connection there was. */
void session_open(struct session *session, uint64_t now_us);

/* Drops the connection at once, without an event, and with it what was written and has not arrived. */
void session_abort(struct session *session);

/* For poll(2): the descriptor (-1: none now) and the events to ask for. Both may change with every
 * call. */
int session_fd(const struct session *session);
short session_poll_events(const struct session *session);
uint64_t session_deadline_us(const struct session *session);

/* After poll, also when only time has passed: reads what is there (bounded per call, so that one
 * busy socket cannot starve the loop), feeds it, ticks, writes what is queued. */
void session_process(struct session *session, short revents, uint64_t now_us);

bool session_next(struct session *session, struct rabbit_event *ret_event);

/* Writes what is queued as far as the socket takes it. The owner calls it at the end of its turn,
 * so that many small frames become one write. */
void session_flush(struct session *session, uint64_t now_us);

/* Bytes queued and not yet written: how the owner notices that the broker does not keep up. */
size_t session_queued_bytes(const struct session *session);

/* Bytes written since the session was made, over all its connections, before TLS; and how many of them have arrived at the
 * peer's machine, which over a slow link goes on long after the last write. With TLS the second number is slightly too low
 * until all have arrived. A system call. */
uint64_t session_out_bytes(const struct session *session);
uint64_t session_taken_bytes(const struct session *session);

/* The connection, for calls; NULL while none is being made. */
struct rabbit *session_rabbit(struct session *session);

/* Whom TLS found at the other end; false without TLS, or without a connection. */
bool session_tls_peer(const struct session *session, struct tls_peer *ret_peer);

/* Whether the last connection failed because of TLS (certificates), not because of user or virtual host. To be asked after an
 * event RABBIT_CLOSED with ERROR_CONFIG. */
bool session_refused_by_tls(const struct session *session);

/* Why hosts of the URI were passed over since session_open although they answered, such as a certificate that is not
 * good: "host:port: words"; NULL if none was. Lives until the next session_open. */
const char *session_passed_over(const struct session *session);

/* The place in the URI of the host of the current or last attempt. */
unsigned session_host(const struct session *session);

/* "host:port" of the current or last attempt, for log lines. */
const char *session_peer(const struct session *session);

#endif
