/* tests/integration/slow_link_fixture.h - a bad link to a server: a port of the loopback behind which bytes go both ways
 * as slowly, as late and as haltingly as one likes; all connections share it, as they share a line. It can end connections
 * without a word, too. Settings hold from the call on, for all its connections; any thread. Whatever goes wrong here prints
 * why and aborts. */
#ifndef TESTS_INTEGRATION_SLOW_LINK_FIXTURE_H
#define TESTS_INTEGRATION_SLOW_LINK_FIXTURE_H

#include <stdint.h>

struct slow_link;

/* Begins to listen, for the server at 127.0.0.1:port; a thread carries the bytes. */
struct slow_link *slow_link_open(int port, uint64_t bytes_per_s);
int slow_link_port(const struct slow_link *link);
/* Each way. UINT64_MAX: as fast as it goes; 0: nothing goes. */
void slow_link_rate(struct slow_link *link, uint64_t bytes_per_s);
/* How long each byte travels, one way. */
void slow_link_delay(struct slow_link *link, uint64_t one_way_us);
/* So many of a hundred packets are lost: TCP sends them again when it has waited for a round trip and 200 ms, and what comes
 * behind in the same connection waits for them. */
void slow_link_loss(struct slow_link *link, unsigned percent);
/* Cuts each connection over which a client sends this text, and gives the server nothing of it; NULL: none. The text stays
 * the caller's, and must live. */
void slow_link_cut_at(struct slow_link *link, const char *text);
/* Cuts all connections that there are. */
void slow_link_cut(struct slow_link *link);
/* How many connections came so far, and how many were cut. */
int slow_link_connections(const struct slow_link *link);
int slow_link_cuts(const struct slow_link *link);
/* How many bytes came from clients or, of the server, for them. */
uint64_t slow_link_bytes(const struct slow_link *link, int from_server);
/* Ends all connections, and frees it. */
void slow_link_close(struct slow_link *link);

#endif
