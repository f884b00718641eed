/* tests/unit/pipeline_tables.h - the two tables of a scene, and the answers to what was asked of
 * them. Used by the driver alone. */
#ifndef TESTS_PIPELINE_TABLES_H
#define TESTS_PIPELINE_TABLES_H

#include "tests/unit/pipeline_driver.h"

/* Answers that are out. */
struct answers {
    bool fetch;
    bool settle;
    bool hold;
    bool release;
    bool heads;
    bool wake;
    bool watermark;
    struct fetch fetch_asked;
    int64_t fetch_ids[DRIVER_IDS];
    struct row *rows;
    size_t row_count;
    bool complete;
    int64_t missing[DRIVER_IDS];
    size_t missing_count;
    size_t released_count;
    int64_t released_first;
    int64_t released_last;
    struct head head_list[DRIVER_IDS];
    size_t head_count;
    size_t woken;
    uint64_t next_in_us;
};

extern struct answers out;

/* Carries out what the action asks of the source, if it does. */
void tables_ask(const struct pipeline_action *action);

#endif
