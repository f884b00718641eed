/* relay/mysql/session.h - one session with the server, on the thread of its link or in the foreground: a function sends
 * a statement and waits for the answer. */
#ifndef RELAY_MYSQL_SESSION_H
#define RELAY_MYSQL_SESSION_H

#include <mysql.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/error.h"
#include "relay/config/config.h"
#include "relay/mysql/names.h"
#include "relay/mysql/sent.h"
#include "relay/mysql/sql.h"

/* How often a transaction is tried that the server undoes because of another one. */
#define MY_TRANSACTION_TRIES 5

struct my_session {
    MYSQL *mysql;
    const struct source_config *config;
    bool is_mariadb;
    bool in_transaction;
    /* The names of the ownership's lock, of the mark and of the lock of fit relays (names.h); whoever opens the session sets
     * them. */
    char lock[MY_LOCK_BYTES];
    char mark[MY_MARK_BYTES];
    char fit[MY_MARK_BYTES];
    struct my_sent sent;
    struct buffer text; /* the statement that is sent */
    /* Of the last statement that failed: */
    bool broken; /* the connection is gone */
    unsigned code;
    struct error error;
    /* Read by the link's owner: */
    /* When the statement was sent whose answer is awaited; 0: none is. */
    atomic_uint_fast64_t sent_us;
    /* When the last answered statement was sent; 0: none was answered. */
    atomic_uint_fast64_t answered_us;
    void (*beat)(void *context); /* called before each statement; may be NULL */
    void *beat_context;
};

/* Runs the statement of a file with these parameters (sql.h). *ret_rows: all its rows, for mysql_free_result, which any
 * thread may call. Outside a transaction it is retried as in my_session_transaction. False: session->code, ->error and
 * ->broken say why. */
bool my_session_ask(struct my_session *session, const char *sql,
                    const struct my_parameters *parameters, MYSQL_RES **ret_rows) MUST_CHECK;

/* The same for a statement without rows. *ret_count, which may be NULL: how many rows it changed; an update counts only
 * rows whose values differ afterwards. */
bool my_session_run(struct my_session *session, const char *sql,
                    const struct my_parameters *parameters, uint64_t *ret_count) MUST_CHECK;

/* The same for a statement with one row of one column, a whole number; `otherwise` if it is NULL or there is no row. */
bool my_session_int(struct my_session *session, const char *sql,
                    const struct my_parameters *parameters, int64_t otherwise,
                    int64_t *ret_value) MUST_CHECK;

/* Runs `body` in a transaction: all of it happens, or nothing. If the server undoes it because of another transaction
 * (a deadlock, a lock that is held too long), it runs again, up to MY_TRANSACTION_TRIES times in all: so `body` must
 * begin by clearing its results. */
bool my_session_transaction(struct my_session *session,
                            bool (*body)(struct my_session *session, void *context),
                            void *context) MUST_CHECK;

/* Sets the session's error for a failure that is not the server's; returns false. */
bool my_session_fail(struct my_session *session, enum error_class class, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Sets it from the last call of the client library; returns false. */
bool my_session_fail_by_mysql(struct my_session *session);
/* Sets it by my_error_set_pooled; returns false. */
bool my_session_fail_pooled(struct my_session *session);

/* The text of a row's value as a number or a truth value. NULL is 0 and false. */
int64_t my_value_int(const char *value);
bool my_value_bool(const char *value);

#endif
