/* tests/integration/slow_link_fixture.h - a slow link to a server: a port of the loopback that carries bytes in both
 * directions with a limited rate, a delay and losses. All connections share the link. It can also cut connections
 * without notice. Settings apply from the call on, to all its connections; any thread. Any failure here prints the
 * reason and aborts. */
#ifndef TESTS_INTEGRATION_SLOW_LINK_FIXTURE_H
#define TESTS_INTEGRATION_SLOW_LINK_FIXTURE_H

#include <stdint.h>

struct slow_link;

/* Begins to listen, for the server at 127.0.0.1:port; a thread carries the bytes. */
struct slow_link *slow_link_open(int port, uint64_t bytes_per_s);
int slow_link_port(const struct slow_link *link);
/* For each direction. UINT64_MAX: no limit; 0: nothing passes. */
void slow_link_rate(struct slow_link *link, uint64_t bytes_per_s);
/* The delay of each byte, one way. */
void slow_link_delay(struct slow_link *link, uint64_t one_way_us);
/* This percentage of the packets is lost: TCP sends them again after a round trip and 200 ms, and later packets of the
 * connection wait for them. */
void slow_link_loss(struct slow_link *link, unsigned percent);
/* Cuts each connection over which a client sends this text, before the server gets it; NULL: none. The text stays the
 * caller's and must remain valid. */
void slow_link_cut_at(struct slow_link *link, const char *text);
/* Cuts all present connections. */
void slow_link_cut(struct slow_link *link);
/* The number of connections so far, and of those that were cut. */
int slow_link_connections(const struct slow_link *link);
int slow_link_cuts(const struct slow_link *link);
/* The bytes that came from clients or, with from_server, from the server. */
uint64_t slow_link_bytes(const struct slow_link *link, int from_server);
/* Ends all connections and frees the link. */
void slow_link_close(struct slow_link *link);

#endif
