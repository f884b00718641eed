/* base/net/local.h - which hosts are this machine, judged by their names alone, without a look-up. */
#ifndef BASE_NET_LOCAL_H
#define BASE_NET_LOCAL_H

#include <stdbool.h>

#define LOCAL_HOST_BYTES 256

/* The first of a list of hosts, with commas between, that is not this machine: no socket of the file system, no name of the
 * loopback and none of its addresses. False if all are, or the list is NULL. */
bool local_find_remote(const char *list, char ret_host[LOCAL_HOST_BYTES]);

#endif
