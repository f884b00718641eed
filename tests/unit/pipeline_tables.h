/* tests/unit/pipeline_tables.h - the two tables of a scene, the log of the commits to the outbox, and the answers to
 * requests. Used only by the driver. */
#ifndef TESTS_PIPELINE_TABLES_H
#define TESTS_PIPELINE_TABLES_H

#include "tests/unit/pipeline_driver.h"

/* Outstanding answers. */
struct answers {
    bool fetch_out;
    bool settle_out;
    bool hold_out;
    bool release_out;
    bool heads_out;
    bool wake_out;
    bool watermark_out;
    struct fetch fetch_asked;
    int64_t fetch_ids[DRIVER_IDS];
    struct batch rows;
    int64_t present_ids[DRIVER_IDS];
    struct source_present present;
    struct source_failure undeleted;
    struct source_settled settled;
    int64_t missing[DRIVER_IDS];
    struct source_failure unmoved;
    struct source_held held;
    struct source_failure unreleased;
    struct source_released released;
    struct head head_list[DRIVER_IDS];
    struct source_heads heads;
    struct source_woken woken;
    struct source_final final;
    uint64_t asked_position; /* position in the outstanding TAIL_BEGIN; 0: none is */
    bool tailing;
    bool more;
    size_t more_rows;
    struct batch log_rows;
    size_t log_at;     /* the next row of the log to deliver */
    uint64_t log_told; /* everything before it was delivered */
    uint64_t safe;     /* the safe position that the core reported in this ownership */
};

extern struct answers out;

/* Executes the action if it is a request to the source. */
void tables_ask(const struct pipeline_action *action);

/* Makes the last settle or hold permanent. */
void tables_settled(void);
void tables_held(void);

/* The log is being read; returns from which position on. */
uint64_t tables_tailing(void);
/* True if there is something to answer a TAIL_MORE with. */
bool tables_log(struct source_log *ret_log);

#endif
