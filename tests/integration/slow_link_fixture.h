/* tests/integration/slow_link_fixture.h - a slow link to a server: a port of the loopback behind which bytes go both ways
 * at a bounded rate, the same for each. Whatever goes wrong here prints why and aborts. */
#ifndef TESTS_INTEGRATION_SLOW_LINK_FIXTURE_H
#define TESTS_INTEGRATION_SLOW_LINK_FIXTURE_H

#include <stdint.h>

struct slow_link;

/* Begins to listen, for the server at 127.0.0.1:port; a thread carries the bytes. */
struct slow_link *slow_link_open(int port, uint64_t bytes_per_s);
int slow_link_port(const struct slow_link *link);
/* From now on. UINT64_MAX: as fast as it goes. */
void slow_link_rate(struct slow_link *link, uint64_t bytes_per_s);
/* How many connections came so far. */
int slow_link_connections(const struct slow_link *link);
/* Ends all connections, and frees it. */
void slow_link_close(struct slow_link *link);

#endif
