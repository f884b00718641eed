/* relay/mysql/source_held.h - the part of the MySQL source for held messages. It splits a request if a row cannot be
 * moved, and tells the results. The statements are in moves.h. */
#ifndef RELAY_MYSQL_SOURCE_HELD_H
#define RELAY_MYSQL_SOURCE_HELD_H

#include "relay/mysql/link.h"
#include "relay/mysql/moves.h"
#include "relay/ports/halving.h"
#include "relay/ports/source.h"

struct my_hold {
    struct my_job job;
    const struct hold *holds; /* the request; the caller's */
    struct halving parts;
    /* A request with no rows is out: it shows whether the row is at fault. */
    bool probing;
    struct error error; /* the error of the row */
    int64_t *missing;   /* of all parts, with room for all ids */
    size_t missing_count;
    size_t part_missing; /* of the part that is out, after the others */
    struct source_failures failures;
};

/* Two independent jobs: one deletes the confirmed heads, one moves waiting messages. One transaction for both would
 * lock the heads first and then the waiting rows, which may have lower ids. An operator's transaction locks in the
 * order of ids, so the two could deadlock. If only the first job is done, messages wait without a head, and the next
 * look at the heads finds them. */
struct my_release {
    struct my_job confirmed_job;
    struct my_job job;
    struct release asked;
    bool confirmed_out;
    bool confirmed_probing;
    bool out;
    bool probing;
    struct halving confirmed;
    struct halving limit;
    struct error error;       /* the error of the row */
    struct my_released moved; /* of the part that is out */
    bool unmoved_any;         /* whether there is one that cannot move, and which */
    int64_t unmoved_id;
    int64_t unmoved_key_hash;
    int64_t first_id;
    int64_t last_id; /* of those that moved */
    bool complete;
    struct source_failures failures;
};

struct my_heads {
    struct my_job job;
    struct source_heads heads;
};

struct my_wake {
    struct my_job job;
    uint32_t rows_max;
    uint32_t rows; /* the limit of this try */
    bool probing;
    bool in_full;      /* this try looks at all times */
    bool stuck;        /* a message that could not move was set aside */
    int64_t from_us;   /* the lowest time of the next look, or MY_WAKE_ALL */
    uint64_t full_us;  /* when the next look at all times is due */
    int64_t stuck_id;  /* a message that cannot move */
    char trouble[300]; /* the reason */
    struct my_woken woken;
    bool acts;
    int64_t last_id;
};

struct my_held {
    struct my_hold hold;
    struct my_release release;
    struct my_heads heads;
    struct my_wake wake;
};

struct source_mysql;

/* The functions of source_ops. */
void my_held_hold(struct source_mysql *self, const struct hold *holds, size_t count,
                  uint64_t now_us);
void my_held_release(struct source_mysql *self, const struct release *release, uint64_t now_us);
void my_held_heads(struct source_mysql *self, uint64_t now_us);
void my_held_wake(struct source_mysql *self, uint32_t rows_max, uint64_t now_us);
/* To be called after the link has stopped: frees the results of its jobs. */
void my_held_lost(struct source_mysql *self);
/* A new ownership: the next wake looks at all times. */
void my_held_owned(struct source_mysql *self);

#endif
