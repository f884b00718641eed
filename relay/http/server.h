/* relay/http/server.h - the HTTP server, by libmicrohttpd: one thread for all connections, and limits for everything that
 * comes from outside. What it answers is in routes.c, whom it answers in guard.h. */
#ifndef RELAY_HTTP_SERVER_H
#define RELAY_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/config/config.h"
#include "relay/http/crew.h"
#include "relay/http/route.h"

/* A request that is not answered so long after its connection was made, or after the request before it, ends the
 * connection: so nobody can hold one by being slow. */
#define SERVER_REQUEST_US UINT64_C(30000000)
#define SERVER_CONNECTIONS 64
#define SERVER_CONNECTIONS_PER_ADDRESS 32
#define SERVER_BODY_BYTES 65536 /* of a request */

struct server;

/* Listens. All pointers are kept by reference. NULL with *reterr, if the address cannot be had or the certificate not be
 * used: that may be different later. */
struct server *server_start(const struct http_config *config, const struct http_route *routes,
                            const struct http_context *context, struct crew *crew,
                            struct error *reterr);

/* Ends all connections, and frees. No request may be with the crew any more. Takes NULL. */
void server_stop(struct server *server);

/* Ends the connections whose request took too long. Gives when the next one may have: to be called again then.
 * CLOCK_NEVER_US: there is no connection. Any thread. */
uint64_t server_cut(struct server *server, uint64_t now_us);

/* Has `wake` called at each new connection, by the server's thread. Right after server_start. */
void server_on_connection(struct server *server, void (*wake)(void *context), void *context);

#endif
