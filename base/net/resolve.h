/* base/net/resolve.h - looks up the addresses of a host name without blocking the caller: getaddrinfo runs on a thread of its
 * own, and an eventfd says when it is done. A look-up that nobody waits for
 * any more ends by itself and frees itself. */
#ifndef BASE_NET_RESOLVE_H
#define BASE_NET_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#include "base/error.h"

struct resolve;

/* Starts a look-up; NULL with *reterr if that is impossible. A numeric address is there at once. */
struct resolve *resolve_start(const char *name, uint16_t port, struct error *reterr);

/* Gives up waiting; the look-up itself may go on. Takes NULL. */
void resolve_free(struct resolve *resolve);

/* Readable when the answer is there. */
int resolve_fd(const struct resolve *resolve);

/* False while there is no answer. Then *ret_addresses is the list, the caller's for freeaddrinfo,
 * or NULL with *reterr. */
bool resolve_take(struct resolve *resolve, struct addrinfo **ret_addresses, struct error *reterr);

#endif
