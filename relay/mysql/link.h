/* relay/mysql/link.h - a session with the server in a thread of its own, since neither client library can do without
 * waiting: jobs are put in, carried out there in their order, and come back through a descriptor that poll(2) can watch.
 *
 * Who uses a link never waits for the server. A link that is stopped while its thread waits has its socket shut down, which
 * ends every wait; where there is no socket yet (the name of a host is being looked up, or a host is connected to) the
 * thread ends by itself and frees what it has. One thread, the owner's, calls all of these. */
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

/* Something that is asked of the server: any number of statements. The first member of a struct that has what they need and
 * takes what they answer, which must stay where it is until the job is back or the link is stopped. */
struct my_job {
    /* On the link's thread. False if it could not be done: the reason is taken from the session. */
    bool (*run)(struct my_session *session, struct my_job *job);
    /* On the pipeline's thread, in the order of the jobs; not called when the session is lost. */
    void (*done)(struct source_mysql *self, struct my_job *job, uint64_t now_us);
    const char *words; /* what it asks, for who reads that no answer came: "for rows" */

    /* When it is back: */
    bool ok;            /* what run gave */
    bool broken;        /* not ok, and the connection is gone */
    unsigned code;      /* not ok: the error number, of the server or the client library */
    struct error error; /* not ok */
    uint64_t sent_us;   /* when it began: monotonic */

    struct my_job *next; /* the link's */
};

/* Begins to connect to the hosts of the section's dsn in turn (`only_host` < 0), or to one of them, counted from 0. Each gets 10 s, or
 * the dsn's connect_timeout, and one that takes no changes is passed over. `connected` is called as a job's done is: broken if
 * none could be had. Keeps `config` until it is stopped. NULL with *reterr if there is no thread to be had. */
struct my_link *my_link_start(const struct source_config *config, int only_host,
                              void (*connected)(struct source_mysql *self, struct my_job *job,
                                                uint64_t now_us),
                              struct error *reterr);

/* Which of the hosts it is connected to. */
int my_link_host(const struct my_link *link);

/* Readable when a job is back, and now and then while a long one gets answers. */
int my_link_fd(const struct my_link *link);

/* At the end of the jobs. Once the connection broke they are not carried out, nor come back. */
void my_link_put(struct my_link *link, struct my_job *job);

/* The next job that is back; NULL: none. */
struct my_job *my_link_take(struct my_link *link);

/* When the last of the statements that were answered was sent: at that moment or later the server heard this session. 0: none
 * was. */
uint64_t my_link_answered_us(const struct my_link *link);

/* Since when something is waited for: a statement that was sent, an attempt to connect, or a job that has not been begun; 0:
 * nothing is. */
uint64_t my_link_waits_since_us(const struct my_link *link);

/* What it is that is waited for: the words of a job. */
const char *my_link_words(struct my_link *link);

/* When bytes of the server came last, by its socket; 0: that cannot be told. */
uint64_t my_link_heard_us(struct my_link *link, uint64_t now_us);

/* True from the call of my_link_stop on: for jobs that have long to do without the server, which it waits for. */
const atomic_bool *my_link_stopping(const struct my_link *link);

/* Ends the session and frees the link; from then on no job is touched. What is under way, and the goodbye by which the server
 * lets go of the ownership at once, get `patience_us`; then the socket is shut down. Takes NULL. */
void my_link_stop(struct my_link *link, uint64_t patience_us);

#endif
