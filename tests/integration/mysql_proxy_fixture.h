/* tests/integration/mysql_proxy_fixture.h - a proxy in front of MariaDB or MySQL, which recognises the packets of their
 * protocol. Like a pool that shares sessions among clients, it can send a statement to another session of the server.
 * And it can answer like a server that cannot read a row. Clients connect to a port of the loopback, without TLS.
 * Settings apply from the call on, to all clients; any thread. Any failure here prints the reason and aborts. */
#ifndef TESTS_INTEGRATION_MYSQL_PROXY_FIXTURE_H
#define TESTS_INTEGRATION_MYSQL_PROXY_FIXTURE_H

struct mysql_proxy;

/* Which session gets a client's statement: its own, which was made for its connection, or the other one. */
enum mysql_proxy_way {
    MYSQL_PROXY_OWN,
    MYSQL_PROXY_OTHER,
    MYSQL_PROXY_IN_TURN,
    MYSQL_PROXY_READS_TO_OTHER, /* statements that begin with "select" go to the other one */
};

/* Begins to listen, for the server at 127.0.0.1:port. `other`: the socket of a session there, for one client at a time,
 * or -1: none. It stays the caller's, who must not use it until the proxy is closed. */
struct mysql_proxy *mysql_proxy_open(int port, int other);
int mysql_proxy_port(const struct mysql_proxy *proxy);
void mysql_proxy_take(struct mysql_proxy *proxy, enum mysql_proxy_way way);
/* Instead of a row with this text the client gets an error, and the answer ends: like a server that cannot read a row
 * in the middle of an answer. NULL: none. The text stays the caller's and must remain valid. */
void mysql_proxy_refuse(struct mysql_proxy *proxy, const char *text);
/* Ends all connections and frees the proxy. */
void mysql_proxy_close(struct mysql_proxy *proxy);

#endif
