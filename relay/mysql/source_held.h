/* relay/mysql/source_held.h - the part of the MySQL source that is about held messages: what is asked, in parts where a row
 * cannot be moved, and what is told. What becomes of the rows: moves.h. */
#ifndef RELAY_MYSQL_SOURCE_HELD_H
#define RELAY_MYSQL_SOURCE_HELD_H

#include "relay/mysql/link.h"
#include "relay/mysql/moves.h"
#include "relay/ports/halving.h"
#include "relay/ports/source.h"

struct my_hold {
    struct my_job job;
    const struct hold *holds; /* what was asked for */
    struct halving parts;
    bool probing;       /* nothing is asked: is it about the row? */
    struct error error; /* which was met before */
    int64_t *missing;   /* of all parts; with room for all */
    size_t missing_count;
    size_t part_missing; /* of the part that is out; they stand behind the others */
    struct source_failures failures;
};

/* Two jobs that go on by themselves. One transaction for both would lock the confirmed heads first and then what waits, which
 * may have lower ids: it could meet an operator, who locks in the order of ids, in a deadlock. If only the first job is done,
 * what waits has no head any more, and the next look at the heads finds it. */
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
    struct error error;       /* which was met before */
    struct my_released moved; /* by the part that is out */
    bool unmoved_any;         /* the one that cannot move */
    int64_t unmoved_id;
    int64_t unmoved_key_hash;
    int64_t first_id;
    int64_t last_id; /* that the outbox gave out */
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
    uint32_t rows; /* of this try */
    bool probing;
    bool in_full;      /* all times are looked at */
    bool stuck;        /* one was set aside that could not move */
    int64_t from_us;   /* MY_WAKE_ALL, or from where on the next look is */
    uint64_t full_us;  /* when all is looked at again */
    int64_t stuck_id;  /* it cannot move, */
    char trouble[300]; /* and this is why */
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

/* What source_ops asks of the source. */
void my_held_hold(struct source_mysql *self, const struct hold *holds, size_t count,
                  uint64_t now_us);
void my_held_release(struct source_mysql *self, const struct release *release, uint64_t now_us);
void my_held_heads(struct source_mysql *self, uint64_t now_us);
void my_held_wake(struct source_mysql *self, uint32_t rows_max, uint64_t now_us);
/* The link has stopped: frees what was under way. */
void my_held_lost(struct source_mysql *self);
/* A new ownership: nothing is known of the times of what is scheduled. */
void my_held_owned(struct source_mysql *self);

#endif
