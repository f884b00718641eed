/* base/net/transport.h - a byte stream to one host: name look-up, TCP to its addresses in turn, TLS if
 * asked for. Never blocks and never raises SIGPIPE. One thread at a time. */
#ifndef BASE_NET_TRANSPORT_H
#define BASE_NET_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/net/tls.h"

enum transport_state {
    TRANSPORT_RESOLVING,
    TRANSPORT_CONNECTING,
    TRANSPORT_SECURING, /* TLS handshake */
    TRANSPORT_READY,
    TRANSPORT_FAILED,
};

struct transport;

/* Begins to connect. host and context (NULL: plain TCP) must outlive it; server_name as in the
 * endpoint, may be NULL. NULL only when memory is out. give_up_us: when all addresses must have
 * been tried; it is shared out among them. */
struct transport *transport_new(const char *host, uint16_t port, const struct tls_context *context,
                                const char *server_name, uint64_t give_up_us, uint64_t now_us);
void transport_free(struct transport *transport);
/* The same, but discards what the socket has taken and the peer's machine has not: else it could still arrive when the
 * network is back, minutes later. */
void transport_discard(struct transport *transport);

/* Goes on as far as it can without waiting. */
enum transport_state transport_process(struct transport *transport, uint64_t now_us);

/* For poll(2); while it is not READY the events are these alone. */
int transport_fd(const struct transport *transport);
short transport_poll_events(const struct transport *transport);
uint64_t transport_deadline_us(const struct transport *transport);

/* Why it FAILED. */
const struct error *transport_error(const struct transport *transport);

/* When READY: the bytes moved, 0 if the socket would have to wait, -1 when the stream is over
 * (transport_error). */
ssize_t transport_read(struct transport *transport, void *data, size_t size);
ssize_t transport_write(struct transport *transport, const void *data, size_t size);

/* Bytes that the socket has taken and the peer's machine has not. */
size_t transport_unsent(const struct transport *transport);

/* Whom TLS found at the other end; false without TLS or before it is READY. */
bool transport_tls_peer(const struct transport *transport, struct tls_peer *ret_peer);

/* There are bytes that transport_read gives and poll(2) does not see. */
bool transport_pending(const struct transport *transport);

/* What the last transport_read waits for: POLLOUT when TLS must first write (new keys), else POLLIN
 * or nothing known. A write never waits for reading, since renegotiation is off. */
short transport_wanted_events(const struct transport *transport);

#endif
