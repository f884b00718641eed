/* relay/daemon/board.h - what the running sources show to other threads: to whoever answers HTTP, or feeds a watchdog. A
 * worker has an entry from its start to its end, and writes its view into it at each change of its state and otherwise at
 * most once a second, so nothing here costs anything for each message. Readers take copies. The board also has the present
 * configuration. Everything but board_new and board_free: any thread. */
#ifndef RELAY_DAEMON_BOARD_H
#define RELAY_DAEMON_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/config/config.h"
#include "relay/core/pipeline.h"

/* A worker whose turn takes longer than this is stuck in it: turns take milliseconds. */
#define BOARD_STUCK_US UINT64_C(10000000)

enum board_state {
    BOARD_STARTING, /* the database was not reached yet */
    BOARD_STANDBY,  /* another relay owns the outbox */
    BOARD_OWNED,
    BOARD_LOST, /* the database was reached before, and is not now */
};
#define BOARD_STATES 4
/* "starting", "standby", "owned", "lost" */
const char *board_state_word(enum board_state state);

/* "broker", "blocked", "degraded", "undeletable", "held_max"; "none" for PAUSE_NONE. */
const char *board_pause_word(enum pipeline_pause pause);

#define BOARD_NAME_BYTES 64
#define BOARD_HOST_BYTES 80

/* Times are of the monotonic clock. */
struct board_view {
    /* Filled in by board_add and board_read. */
    char source[BOARD_NAME_BYTES];
    char kind[16];
    char broker[64];
    bool wants_tail;
    bool stuck; /* for BOARD_STUCK_US: see board_find_stuck */

    /* The worker's. All zero until it has written for the first time. */
    uint64_t told_us;
    enum board_state state;
    uint64_t state_since_us;
    char state_reason[400]; /* BOARD_LOST, and BOARD_STARTING after a failure: why */
    bool draining;
    enum pipeline_pause pause; /* in any state; it says something only for BOARD_OWNED */
    uint64_t pause_since_us;
    char pause_reason[256];
    char not_tailing_reason[240]; /* why the table is polled although the log is wanted; or "" */
    uint32_t lanes;               /* as configured: without the one for probes */
    /* The broker's host at which each is: "host:port", or "". */
    char lane_hosts[PIPELINE_LANES_MAX][BOARD_HOST_BYTES];
    uint64_t oldest_in_flight_us; /* when it was published; 0: none is in flight */
    double rate;                  /* confirmed a second, since the view before */
    uint64_t ownerships;          /* won, since the start */
    uint64_t database_losses;
    uint64_t broker_connections; /* made, since the start */
    uint64_t broker_losses;
    uint64_t blocked_us; /* how long the broker took no messages, altogether */
    struct pipeline_counts counts;
    struct pipeline_latency latency;
};

/* What is known of the tenants of a template. */
struct board_template {
    char name[BOARD_NAME_BYTES + 1];
    size_t tenants;       /* that have a source */
    size_t refused;       /* that have none */
    bool emptied;         /* the last answer had none of them, and was not believed */
    uint64_t answered_us; /* the last answer; 0: there was none yet */
    uint64_t failures;    /* queries that were not answered, since the start */
    uint64_t failing_us;  /* when the first of them failed since the last answer; 0: none did */
    char error[400];      /* why there is no answer now; or "" */
};

struct board;
struct board_entry;

struct board *board_new(void);
/* No entry may be left. Takes NULL. */
void board_free(struct board *board);

/* The present configuration: the board has a reference of its own. */
void board_set_config(struct board *board, struct config *config);
/* A reference, for config_free. NULL: none was set. */
struct config *board_config(struct board *board);

/* The views of all entries, in the order in which they were added; for memory_free, also if there are none. */
size_t board_read(struct board *board, uint64_t now_us, struct board_view **ret_views);

/* Up to where the owned source of this name has read its log; 0: it reads none. */
log_position board_log_read(struct board *board, const char *source);

/* What is shown of templates: takes the array over. And a copy, for memory_free, also if there are none. */
void board_set_templates(struct board *board, struct board_template *templates, size_t count);
size_t board_templates(struct board *board, struct board_template **ret_templates);

/* For a worker. The entry belongs to the board until board_remove. */
struct board_entry *board_add(struct board *board, const struct source_config *source);
void board_remove(struct board *board, struct board_entry *entry);
/* Copies the worker's part of the view. */
void board_show(struct board *board, struct board_entry *entry, const struct board_view *view);
/* A turn begins, and ends: then the worker waits for its sockets, until then at the latest. */
void board_turn(struct board_entry *entry, uint64_t now_us);
void board_rest(struct board_entry *entry, uint64_t until_us);

/* Whether a worker is in its turn, or overdue for the next one, for longer than patience_us; and for which source it works. */
bool board_find_stuck(struct board *board, uint64_t now_us, uint64_t patience_us,
                      char ret_source[BOARD_NAME_BYTES]);

#endif
