/* relay/postgres/source_hosts.h - the servers that a dsn names, one address after the other. libpq would block while it
 * looks up a name, and its asynchronous connect goes on to the next address only when one refuses, not when it does not
 * answer. So both are done here, and libpq gets one address at a time. A dsn without a host is left to libpq (its
 * socket directory, PGHOST, a service). */
#ifndef RELAY_POSTGRES_SOURCE_HOSTS_H
#define RELAY_POSTGRES_SOURCE_HOSTS_H

#include <netdb.h>
#include <stddef.h>

#include "base/error.h"

#define PG_HOSTS_MAX 16

struct pg_host {
    char *name;    /* NULL: none given; else a name, an address or a socket directory */
    char *address; /* from the dsn's hostaddr; NULL: to be looked up */
    char *port;    /* NULL: libpq's default */
};

/* Where libpq is to connect. NULL: as the dsn says. */
struct pg_target {
    const char *name;
    const char *address;
    const char *port;
};

enum pg_hosts_step {
    PG_HOSTS_TARGET,     /* there is an address to try */
    PG_HOSTS_LOOKING_UP, /* ask again when pg_hosts_fd is readable */
    PG_HOSTS_UNKNOWN,    /* the name has no address; call again */
    PG_HOSTS_END,        /* all were tried */
};

struct pg_hosts {
    struct pg_host hosts[PG_HOSTS_MAX];
    size_t count;
    size_t next; /* the host after the current one */
    struct resolve *resolve;
    struct addrinfo *addresses; /* of the current host */
    const struct addrinfo *address;
    char text[NI_MAXHOST];
};

/* False if the dsn cannot be parsed. */
bool pg_hosts_init(struct pg_hosts *hosts, const char *dsn, struct error *reterr) MUST_CHECK;
void pg_hosts_done(struct pg_hosts *hosts);

/* Starts again with the first host; gives up a running look-up. */
void pg_hosts_rewind(struct pg_hosts *hosts);

/* Gives up the running look-up; the next host follows. */
void pg_hosts_skip(struct pg_hosts *hosts);

/* The next address. *ret_target is set with PG_HOSTS_TARGET and valid until the next call; *reterr is set with
 * PG_HOSTS_UNKNOWN. */
enum pg_hosts_step pg_hosts_next(struct pg_hosts *hosts, struct pg_target *ret_target,
                                 struct error *reterr);

/* The name of the current host, for messages. */
const char *pg_hosts_name(const struct pg_hosts *hosts);

/* The fd of the running look-up; -1: there is none. */
int pg_hosts_fd(const struct pg_hosts *hosts);

#endif
