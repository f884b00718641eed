/* relay/http/facts.h - what only the databases know: how much waits and for how long, what is held, what the log keeps.
 * They are asked in threads of their own, and only while somebody wants to know; everybody gets the last answer. So a
 * database that does not answer keeps nobody waiting: its answer grows old, and is left out. */
#ifndef RELAY_HTTP_FACTS_H
#define RELAY_HTTP_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/daemon/board.h"
#include "relay/ports/admin_held.h"
#include "relay/ports/admin_status.h"

/* A source's database is asked this often, while somebody wants to know. */
#define FACTS_EVERY_US UINT64_C(10000000)
/* Asking takes a connection and some milliseconds of the server. With many sources each of them is asked less often, so
 * that altogether there is no more than one question in this time. */
#define FACTS_SPREAD_US UINT64_C(250000)
/* One that could not be asked is asked again after this time. */
#define FACTS_AGAIN_US UINT64_C(30000000)
/* An answer that is older than three times FACTS_EVERY_US (or what FACTS_SPREAD_US makes of it) is not given any more. */
#define FACTS_OLD 3
/* Nobody has wanted to know for this long: the databases are left alone. */
#define FACTS_WANTED_US UINT64_C(120000000)

/* Of one source. Times are the database's, as in admin_status.h. */
struct facts_figures {
    bool known;       /* false: nothing, or nothing that is not too old */
    uint64_t told_us; /* monotonic: when the database answered */
    uint64_t pending; /* at most ADMIN_MANY + 1 */
    bool has_oldest;
    uint64_t oldest_age_us; /* of the oldest pending that is due, as of told_us */
    struct admin_counts held;
    uint64_t standbys;
    bool has_keeper; /* the server keeps its log for this source */
    bool keeper_active;
    bool keeper_lost;
    uint64_t keeper_retained;
    const char *keeper_condition; /* as in admin_status.h; lives for ever */
    bool keeper_limited;
    uint64_t keeper_left;
    struct admin_vacuum vacuum;
    bool reasons_known;
    struct held_reasons reasons; /* of the first of each state */
    bool log_known;              /* this process reads the log */
    uint64_t log_behind;
};

struct facts;

/* `wake` is called when facts_ask is to be called soon; by any thread. */
struct facts *facts_new(struct board *board, void (*wake)(void *context), void *context);
/* False: a database is still being asked after this time. Then facts are not freed. Takes NULL. */
bool facts_stop(struct facts *facts, uint64_t patience_us);

/* The last answer of the source of this name. Never waits for a database. Any thread. */
void facts_get(struct facts *facts, const char *source, uint64_t now_us,
               struct facts_figures *ret_figures);

/* Somebody wants to know, now. Any thread. */
void facts_want(struct facts *facts, uint64_t now_us);

/* Has each database asked whose answer is due, if somebody wants to know; does not wait for them. Gives when to call it
 * again; CLOCK_NEVER_US: when it wakes. One thread. */
uint64_t facts_ask(struct facts *facts, uint64_t now_us);

#endif
