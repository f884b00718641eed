#include "relay/mysql/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "relay/mysql/error.h"

#define INT64_DIGITS 18 /* so many digits always fit into an int64 */

bool
my_session_fail(struct my_session *session, enum error_class class, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    session->broken = false;
    session->code = 0;
    session->error.class = class;
    (void)vsnprintf(session->error.text, sizeof(session->error.text), format,
                    args); /* cut is fine */
    va_end(args);
    return false;
}

bool
my_session_fail_pooled(struct my_session *session)
{
    session->broken = false;
    session->code = 0;
    my_error_set_pooled(&session->error);
    return false;
}

bool
my_session_fail_by_mysql(struct my_session *session)
{
    session->code = mysql_errno(session->mysql);
    session->broken = my_error_is_of_connection(session->code);
    my_error_from_mysql(session->mysql, &session->error);
    return false;
}

/* An answer, even an error, proves that the server heard us when the statement was sent, or later. */
static void
learn_answer(struct my_session *session, uint64_t sent_us)
{
    atomic_store(&session->sent_us, 0);
    if (!my_error_is_of_connection(mysql_errno(session->mysql))) {
        atomic_store(&session->answered_us, sent_us);
    }
}

/* Sends the statement in session->text. */
static bool
send(struct my_session *session, MYSQL_RES **ret_rows)
{
    if (session->beat != NULL) {
        session->beat(session->beat_context);
    }
    const uint64_t sent_us = clock_monotonic_us();
    MYSQL *const mysql = session->mysql;
    atomic_store(&session->sent_us, sent_us);
    const bool good = mysql_real_query(mysql, (const char *)buffer_front(&session->text),
                                       (unsigned long)buffer_size(&session->text)) == 0;
    *ret_rows = good ? mysql_store_result(mysql) : NULL;
    learn_answer(session, sent_us);
    return (good && mysql_errno(mysql) == 0) || my_session_fail_by_mysql(session);
}

static bool
ask(struct my_session *session, const char *sql, const struct my_parameters *parameters,
    MYSQL_RES **ret_rows)
{
    if (!my_sql_put(&session->text, sql, parameters)) {
        return my_session_fail(session, ERROR_TRANSIENT, "a statement is too long to be made");
    }
    return send(session, ret_rows);
}

/* A retry makes sense if the error is due to another transaction. */
static bool
is_worth_another_try(const struct my_session *session)
{
    return my_error_is_of_other_transaction(session->code);
}

/* Within a transaction nothing is retried here: my_session_transaction runs it again as a whole. */
static bool
ask_with_patience(struct my_session *session, const char *sql,
                  const struct my_parameters *parameters, MYSQL_RES **ret_rows)
{
    bool good = ask(session, sql, parameters, ret_rows);
    for (int i = 1; !good && !session->in_transaction && i < MY_TRANSACTION_TRIES &&
                    is_worth_another_try(session);
         i++) {
        good = send(session, ret_rows);
    }
    return good;
}

bool
my_session_ask(struct my_session *session, const char *sql, const struct my_parameters *parameters,
               MYSQL_RES **ret_rows)
{
    if (!ask_with_patience(session, sql, parameters, ret_rows)) {
        return false;
    }
    return *ret_rows != NULL ||
           my_session_fail(session, ERROR_CONFIG, "the server gave no rows to a question");
}

bool
my_session_run(struct my_session *session, const char *sql, const struct my_parameters *parameters,
               uint64_t *ret_count)
{
    MYSQL_RES *rows = NULL;
    const bool good = ask_with_patience(session, sql, parameters, &rows);
    mysql_free_result(rows);
    if (good && ret_count != NULL) {
        *ret_count = mysql_affected_rows(session->mysql);
    }
    return good;
}

bool
my_session_int(struct my_session *session, const char *sql, const struct my_parameters *parameters,
               int64_t otherwise, int64_t *ret_value)
{
    MYSQL_RES *rows = NULL;
    if (!my_session_ask(session, sql, parameters, &rows)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    *ret_value = row != NULL && row[0] != NULL ? my_value_int(row[0]) : otherwise;
    mysql_free_result(rows);
    return true;
}

static const struct my_parameters none = {.count = 0};

/* Keeps the error that led here. */
static void
roll_back(struct my_session *session)
{
    const struct error error = session->error;
    const unsigned code = session->code;
    if (!session->broken && my_session_run(session, "rollback", &none, NULL)) {
        session->error = error;
        session->code = code;
    }
}

static bool
try_transaction(struct my_session *session, bool (*body)(struct my_session *session, void *context),
                void *context)
{
    session->in_transaction = true;
    const bool good = my_session_run(session, "start transaction", &none, NULL) &&
                      body(session, context) && my_session_run(session, "commit", &none, NULL);
    if (!good) {
        roll_back(session);
    }
    session->in_transaction = false;
    return good;
}

bool
my_session_transaction(struct my_session *session,
                       bool (*body)(struct my_session *session, void *context), void *context)
{
    assert(!session->in_transaction);
    bool good = try_transaction(session, body, context);
    for (int i = 1;
         !good && !session->broken && i < MY_TRANSACTION_TRIES && is_worth_another_try(session);
         i++) {
        good = try_transaction(session, body, context);
    }
    return good;
}

/* Each row has several numbers, and for a few digits strtoll takes ten times as long as this. */
int64_t
my_value_int(const char *value)
{
    const char *at = value;
    int64_t number = 0;
    while (at != NULL && *at >= '0' && *at <= '9' && at - value < INT64_DIGITS) {
        number = 10 * number + (*at++ - '0');
    }
    return at == NULL || *at == '\0' ? number : strtoll(value, NULL, 10);
}

bool
my_value_bool(const char *value)
{
    return my_value_int(value) != 0;
}
