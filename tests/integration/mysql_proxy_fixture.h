/* tests/integration/mysql_proxy_fixture.h - a proxy before MariaDB or MySQL, which knows where packets of their protocol begin.
 * It can do what a pool does that shares sessions between clients: give a statement to another session of the server. And it
 * can answer as a server does that cannot read a row. Clients come to a port of the loopback, without TLS. Settings hold from
 * the call on, for all clients; any thread. Whatever goes wrong here prints why and aborts. */
#ifndef TESTS_INTEGRATION_MYSQL_PROXY_FIXTURE_H
#define TESTS_INTEGRATION_MYSQL_PROXY_FIXTURE_H

struct mysql_proxy;

/* Which session a client's statement goes to: its own, which came with its connection, or the other. */
enum mysql_proxy_way {
    MYSQL_PROXY_OWN,
    MYSQL_PROXY_OTHER,
    MYSQL_PROXY_IN_TURN,
    MYSQL_PROXY_READS_TO_OTHER, /* what begins with "select" */
};

/* Begins to listen, for the server at 127.0.0.1:port. `other`: the socket of a session there, for one client at a time, or -1:
 * there is none. It stays the caller's, who does not use it until the proxy is closed. */
struct mysql_proxy *mysql_proxy_open(int port, int other);
int mysql_proxy_port(const struct mysql_proxy *proxy);
void mysql_proxy_take(struct mysql_proxy *proxy, enum mysql_proxy_way way);
/* In the place of a row that has this text the client gets an error, and the answer ends: so does a server that finds in the middle
 * of an answer that it cannot read a row. NULL: none. The text stays the caller's, and must live. */
void mysql_proxy_refuse(struct mysql_proxy *proxy, const char *text);
/* Ends all connections, and frees it. */
void mysql_proxy_close(struct mysql_proxy *proxy);

#endif
