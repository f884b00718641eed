/* relay/mysql/link.h - a session with the server in a thread of its own, because neither client library works without
 * blocking: the owner puts in jobs, the thread runs them in their order, and they come back through a descriptor that
 * poll(2) can watch.
 *
 * The owner never waits for the server, unless it gives my_link_stop some patience. If a link is stopped while its
 * thread waits, its socket is shut down, which ends every wait. Before there is a socket (while a host's name is looked
 * up or a host is connected to) nothing can end the wait: then the thread ends by itself later and frees the link. All
 * functions are called by one thread, the owner's. */
#ifndef RELAY_MYSQL_LINK_H
#define RELAY_MYSQL_LINK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "relay/config/config.h"

struct my_link;
struct my_session;
struct source_mysql;

/* A request to the server: any number of statements. It is a member of a struct with the values that they need and
 * the results that they give. The struct must stay where it is until the job is back or the link is stopped. */
struct my_job {
    /* Called on the link's thread. False if it failed: the reason is taken from the session. */
    bool (*run)(struct my_session *session, struct my_job *job);
    /* For the owner, who calls it when the job is back, in the order of the jobs. The owning session's is not called
     * for a broken job: the loss of the session is its answer. */
    void (*done)(struct source_mysql *self, struct my_job *job, uint64_t now_us);
    const char *words; /* what it asks, for the message that no answer came: "for rows" */

    /* Set when it is back: */
    bool ok;            /* the result of run */
    bool broken;        /* not ok, because the connection is gone */
    unsigned code;      /* not ok: the error number of the server or the client library */
    struct error error; /* not ok */
    uint64_t sent_us;   /* when it began, by the monotonic clock */

    struct my_job *next; /* used by the link */
};

/* Begins to connect to the hosts of the dsn in turn (`only_host` < 0), or to one of them, counted from 0. Each gets 10
 * s, or the dsn's connect_timeout; a read-only server is skipped. The first job to come back is this attempt:
 * `connected` is its done, and it is broken if no host could be reached. Keeps `config` by reference until the link is
 * stopped. NULL with *reterr if the thread cannot be created. */
struct my_link *my_link_start(const struct source_config *config, int only_host,
                              void (*connected)(struct source_mysql *self, struct my_job *job,
                                                uint64_t now_us),
                              struct error *reterr);

/* The number of the host that it is connected to. Only after the first job came back. */
int my_link_host(const struct my_link *link);

/* The descriptor to poll: readable when a job is back, and from time to time while a long one gets answers. It belongs
 * to the link. */
int my_link_fd(const struct my_link *link);

/* Adds a job after the others. Once the connection is broken, jobs are not run and do not come back. */
void my_link_put(struct my_link *link, struct my_job *job);

/* Takes the next job that is back; NULL: none. */
struct my_job *my_link_take(struct my_link *link);

/* When the last answered statement was sent: the server has heard this session at that time or later. 0: none was
 * answered. */
uint64_t my_link_answered_us(const struct my_link *link);

/* Since when the link waits: for the answer to a statement, for a connection, or for a job to begin. 0: it waits for
 * nothing. */
uint64_t my_link_waits_since_us(const struct my_link *link);

/* What it waits for: the words of the job that is being run. */
const char *my_link_words(struct my_link *link);

/* When the last bytes from the server arrived, as TCP reports it; 0: not known. */
uint64_t my_link_heard_us(struct my_link *link, uint64_t now_us);

/* Becomes true with the call of my_link_stop, which waits for the thread. For jobs that work for long without the
 * server. */
const atomic_bool *my_link_stopping(const struct my_link *link);

/* Ends the session and frees the link; afterwards no job is touched. The job that is being run, and the message that
 * closes the session (with which the server ends the ownership at once), get `patience_us`; then the socket is shut
 * down. Takes NULL. */
void my_link_stop(struct my_link *link, uint64_t patience_us);

#endif
