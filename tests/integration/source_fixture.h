/* tests/integration/source_fixture.h - drives a source as the worker does: polls its descriptor,
 * lets it work, takes its events. Each wait has a deadline, after which the test fails. The source
 * is of the kind that OUTBOX_TEST_DATABASE names, as the database of db_fixture.h. */
#ifndef TESTS_INTEGRATION_SOURCE_FIXTURE_H
#define TESTS_INTEGRATION_SOURCE_FIXTURE_H

#include "relay/config/config.h"
#include "relay/ports/source.h"
#include "tests/integration/db_fixture.h"

/* Settings with which the server's log cannot be read: set by SQL, and repaired by SQL, or a line of its configuration file. The source
 * then says what is wrong, and what to do. */
struct source_fixture_lack {
    const char *harm;
    const char *mend;
    const char *line;
    const char *what;
    const char *remedy;
};

/* What is not alike in both kinds. Words stand in what a source says. */
struct source_fixture_kind {
    const struct database_kind *kind;
    log_position (*log_end)(struct db *db);     /* where the log of the server ends */
    void (*next_id)(struct db *db, int64_t id); /* the one that the next row gets */
    /* In SQL: the session that is sent the log for this database, or 0; and what begins another file of the log. */
    const char *reader;
    const char *next_file;
    /* In SQL: how many requests for an ownership the server keeps until they can be granted; NULL: it keeps none. */
    const char *waits_in_server;
    const struct source_fixture_lack *lacks; /* the last one has no `what` */
    const char *words_log_gone;              /* the log was removed from the server */
    int relay_version;                       /* of the tables of the relay */
    /* The first and the last time that a row may have been made at, in SQL and as it is read; and one that nobody awaits. */
    const char *first_time;
    int64_t first_time_us;
    int64_t last_time_us;
    const char *far_time;
    const char *words_session_ended; /* by somebody else */
    const char *words_silent;        /* ended by the server, for nothing came of it; or NULL */
    const char *words_shut_out;
    const char *words_bad_password;
    const char *words_no_database;
    const char *words_nobody_listens;
    const char *words_no_table;      /* in the middle of an ownership */
    const char *words_no_privileges; /* where nothing but reading is granted */
    const char *words_no_keep;       /* all is but to insert into outbox_sent_batch */
    const char *words_referenced;    /* by a row of another table */
};

const struct source_fixture_kind *source_fixture_kind(void);

/* A source "orders" at this dsn. Freed by source_fixture_close. */
struct source_config source_fixture_config(const char *dsn, uint64_t takeover_us);
/* The same in the database of db_fixture.h; `more` stands at the end of the dsn. */
struct source_config source_fixture_here(uint64_t takeover_us);
struct source_config source_fixture_here_with(const char *more, uint64_t takeover_us);
/* As an account that db_create_user has made, with the password "secret". */
struct source_config source_fixture_here_as(const char *user, uint64_t takeover_us);

/* Writes so many rows by one statement, with ids that have no gap between them; routing keys k1, k2, … */
void source_fixture_insert(struct db *db, int count);

struct source *source_fixture_open(const struct source_config *config);
/* The same, once it owns the outbox. */
struct source *source_fixture_own(const struct source_config *config);
/* Until it owns the outbox, for the first time or again: the session of the owner before it may take a while to end. */
struct source_event source_fixture_await_owned(struct source *source);
void source_fixture_close(struct source *source, struct source_config *config);

/* Lets it work once, when there is something to do: for who waits for anything else than an event. */
void source_fixture_turn(struct source *source);
/* The next event, whatever it is. */
struct source_event source_fixture_next(struct source *source);
/* The next event, which must be of this type; SOURCE_ALIVE and SOURCE_NOTICE are passed over. */
struct source_event source_fixture_expect(struct source *source, enum source_event_type type);

/* It loses its server, to come back to it: tries, in vain at first or not, owns again, and does its work on an outbox of two rows. */
struct error source_fixture_expect_loss(struct source *source);
void source_fixture_expect_return(struct source *source);

struct batch *source_fixture_fetch(struct source *source, struct fetch fetch);
struct batch *source_fixture_fetch_after(struct source *source, int64_t id);
int64_t source_fixture_watermark(struct source *source);
/* What somebody else's transaction holds back is waited for: in MySQL one of two phases does, whatever its database. */
void source_fixture_await_final(struct source *source, int64_t id);
/* Ask and give back the answer. */
struct source_held source_fixture_hold(struct source *source, const struct hold *holds,
                                       size_t count);
struct source_released source_fixture_release(struct source *source, struct release release);
struct source_heads source_fixture_heads(struct source *source);
struct source_woken source_fixture_wake(struct source *source, uint32_t rows_max);
/* All that there is, in batches; how many these were. So many rows; those that are withheld must be these, and say why in these words. */
size_t source_fixture_read_all(struct source *source, enum fetch_kind kind, int64_t rows,
                               const int64_t *withheld, size_t withheld_count, const char *why);

/* The rows 1 to `count` are done with. What failed must be these rows, and say why in these words; frees the failures. */
struct source_failures source_fixture_settle(struct source *source, size_t count);
void source_fixture_expect_failures(struct source_failures failures, const int64_t *ids,
                                    size_t count, const char *why);

/* Returns once the log is read, from where it is. */
log_position source_fixture_tail(struct source *source, log_position position);
struct source_log source_fixture_log(struct source *source, uint32_t rows_max);
/* Reads all that there is of the log, whatever it has, until it is not read any more. Returns why. */
struct error source_fixture_end_of_log(struct source *source, enum error_class class);
/* Returns once it was written. */
void source_fixture_status(struct source *source, const struct source_status *status);

#endif
