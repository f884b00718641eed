/* relay/mysql/session.h - one session with the server, on the thread of its link: a statement is sent, and its answer waited
 * for. */
#ifndef RELAY_MYSQL_SESSION_H
#define RELAY_MYSQL_SESSION_H

#include <mysql.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/error.h"
#include "relay/config/config.h"
#include "relay/mysql/names.h"
#include "relay/mysql/sql.h"

/* So often a transaction is begun anew that the server has undone for the sake of another. */
#define MY_TRANSACTION_TRIES 5

struct my_session {
    MYSQL *mysql;
    const struct source_config *config;
    bool is_mariadb;
    bool in_transaction;
    char lock
        [MY_LOCK_BYTES]; /* the name of the ownership; this and the next are set up by the source */
    char mark[MY_MARK_BYTES];
    struct buffer text; /* of the statement that is sent */
    /* Of the last that failed: */
    bool broken; /* the connection is gone */
    unsigned code;
    struct error error;
    /* Seen by the link's owner: */
    atomic_uint_fast64_t sent_us; /* when the statement was sent that is waited for; 0: none is */
    atomic_uint_fast64_t answered_us; /* when the last was sent that is answered; 0: none */
    void (*beat)(void *context);      /* called after each answer */
    void *beat_context;
};

/* Runs the statement of a file, with these parameters (sql.h). *ret_rows: all its rows, for mysql_free_result, which any
 * thread may call. Outside of a transaction it is tried again as my_session_transaction does. False: session->code, ->error
 * and ->broken say why. */
bool my_session_ask(struct my_session *session, const char *sql,
                    const struct my_parameters *parameters, MYSQL_RES **ret_rows) MUST_CHECK;

/* The same for a statement without rows; *ret_count, which may be NULL: how many it changed (of an update: that differ from what
 * they were). */
bool my_session_run(struct my_session *session, const char *sql,
                    const struct my_parameters *parameters, uint64_t *ret_count) MUST_CHECK;

/* One row of one column, a whole number; NULL is `otherwise`. */
bool my_session_int(struct my_session *session, const char *sql,
                    const struct my_parameters *parameters, int64_t otherwise,
                    int64_t *ret_value) MUST_CHECK;

/* Runs `body` in a transaction: all of it or nothing. Where the server has undone it for the sake of another transaction (a
 * deadlock, a lock that is not let go), it is run again, up to MY_TRANSACTION_TRIES times: so `body` begins what it gives
 * back anew. */
bool my_session_transaction(struct my_session *session,
                            bool (*body)(struct my_session *session, void *context),
                            void *context) MUST_CHECK;

/* For who finds that something is wrong by himself; false. */
bool my_session_fail(struct my_session *session, enum error_class class, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The same, of the last call of the library. */
bool my_session_fail_by_mysql(struct my_session *session);
/* The same, by my_error_set_pooled. */
bool my_session_fail_pooled(struct my_session *session);

/* Values of a row, as text. NULL is 0, false, empty. */
int64_t my_value_int(const char *value);
bool my_value_bool(const char *value);

#endif
