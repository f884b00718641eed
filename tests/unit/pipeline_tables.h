/* tests/unit/pipeline_tables.h - the two tables of a scene and the log of what was committed to the
 * outbox, and the answers to what was asked of them. Used by the driver alone. */
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
    int64_t present[DRIVER_IDS];
    size_t present_count;
    int64_t missing[DRIVER_IDS];
    size_t missing_count;
    size_t released_count;
    bool released_complete;
    int64_t released_first;
    int64_t released_last;
    struct source_failure unreleased; /* id 0: none is */
    struct source_failure undeleted;  /* likewise */
    struct head head_list[DRIVER_IDS];
    size_t head_count;
    size_t woken;
    uint64_t next_in_us;
    int64_t final_id;
    uint64_t final_position;
    uint64_t position;
    uint64_t asked_position; /* by a TAIL_BEGIN that is out; 0: none is */
    bool tailing;
    bool more;
    size_t more_rows;
    struct row *log_rows;
    size_t log_at;     /* the next row of the log to be given */
    uint64_t log_told; /* all before was given */
    uint64_t safe;     /* what the core said of this ownership */
};

extern struct answers out;

/* Carries out what the action asks of the source, if it does. */
void tables_ask(const struct pipeline_action *action);

/* What was settled or held is there for good. */
void tables_settled(void);
void tables_held(void);

/* The log is read; from which position on. */
uint64_t tables_tailing(void);
/* There is something to answer a TAIL_MORE with: rows, count, and all before ret_position was given. */
bool tables_log(size_t *ret_count, uint64_t *ret_position);

#endif
