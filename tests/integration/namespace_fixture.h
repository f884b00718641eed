/* tests/integration/namespace_fixture.h - a host of its own for a relay: a network namespace, from which it reaches the
 * test's servers over a pair of virtual interfaces, and which can be cut off from a server without a word: no packet
 * passes, no connection is closed, and no side is told. Needs root. It ends with the process that opened it, however that
 * ends. One at a time. Main thread only; any failure prints the reason and aborts. */
#ifndef TESTS_INTEGRATION_NAMESPACE_FIXTURE_H
#define TESTS_INTEGRATION_NAMESPACE_FIXTURE_H

void namespace_open(void);
void namespace_close(void);

/* The file that names it, for setns(2); and the address at which servers of this machine's loopback are reached in it. */
const char *namespace_file(void);
const char *namespace_servers(void);

/* From now on nothing passes between it and this port; and everything passes again. */
void namespace_cut(int port);
void namespace_mend(void);

#endif
