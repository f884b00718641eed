/* tests/integration/db_fixture_private.h - what a kind of database does for db_fixture.c; what each is for stands in db_fixture.h. */
#ifndef TESTS_INTEGRATION_DB_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_DB_FIXTURE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

/* A `conn` is a PGconn or a MYSQL. */
struct db_kind {
    const char *name;
    const char *server;
    void *(*create)(void);
    void (*drop)(void *conn);
    const char *(*dsn)(void);
    int (*port)(void);
    void *(*create_second)(void);
    const char *(*second_dsn)(void);
    void *(*connect)(bool must); /* NULL if it need not and cannot */
    void (*close)(void *conn);
    void (*load_outbox)(void *conn);
    void (*load_outbox_alone)(void *conn);
    void (*load_log)(void *conn);
    void (*load)(void *conn, const char *name);
    const char *(*log_position)(void *conn);
    bool (*may_forget)(void *conn, const char *position);
    void (*forget_log)(void *conn);
    void (*lift_limits)(void *conn);
    void (*lift_headers)(void *conn);
    const char *lift_not_null;
    bool (*cancel)(void *conn, const char *message_id);
    bool (*try)(void *conn, const char *sql);
    const char *(*error)(void *conn);
    void (*exec)(void *conn, const char *sql);
    const char *(*text)(void *conn, const char *sql);
    void (*forbid)(void *conn, const char *what, const char *table, const char *rows);
    const char *analyze;
    void (*count_looks)(void *conn);
    int64_t (*looks)(void *conn);
    void (*load_rows)(void *conn, const char *table_and_columns, const char *lines);
    void (*drop_index)(void *conn, const char *table, const char *index);
    void (*rewrite)(void *conn, const char *table);
    void (*change_type)(void *conn, const char *table, const char *column, const char *type);
    void (*make_anew)(void *conn);
    void (*copy_outbox)(void *conn);
    bool tells_tables_apart;
    const char *event_copied;
    void (*take_large)(void *conn);
    void (*write_fast)(void *conn);
    void (*lock_outbox)(void *conn);
    void (*empty_outbox)(void *conn);
    void (*unlock_outbox)(void *conn);
    const char *own_ids;
    void (*use_up_ids)(void *conn);
    const char *(*words_without_ids)(void *conn);
    const char *words_denied;
    const char *words_no_outbox;
    void (*create_user)(void *conn, const char *name, const char *password);
    void (*set_password)(void *conn, const char *name, const char *password);
    void (*grant_relay)(void *conn, const char *name);
    void (*grant)(void *conn, const char *name, const char *rights, const char *table);
    void (*revoke)(void *conn, const char *name, const char *rights, const char *table);
    void (*grant_all)(void *conn, const char *name);
    void (*shut_out)(void *conn, const char *name, bool out);
    void (*end_sessions_of)(void *conn, const char *name);
    void (*drop_user)(void *conn, const char *name);
    void (*allow)(void *conn, const char *rights, const char *table);
    void (*allow_cancel)(void *conn);
    void (*allow_role)(void *conn, const char *role);
    void *(*connect_allowed)(void);
    void (*prepare_begin)(void *conn, const char *name);
    void (*prepare_end)(void *conn, const char *name);
    void (*end_prepared)(void *conn, const char *name, bool commit);
    const char *(*database)(void);
    void (*send)(void *conn, const char *sql);
    void (*await_end)(void *conn);
    int64_t (*session)(void *conn);
    void (*wait_blocked)(void *conn, int64_t session);
    void (*wait_any_blocked)(void *conn);
    void (*change_zone)(void *conn);
    void (*limit_waits)(void *conn);
    void (*begin_at)(void *conn, const char *level);
    void (*begin_winner)(void *conn);
    void (*end_session)(void *conn, int64_t session);
    int64_t (*owner)(void *conn);
    void (*be_relay)(void *conn);
    void (*be_shop)(void *conn);
    const char *account;
    const char *role;
    const char *application;
    const char *since;
    const char *never;
    const char *relay_columns;
    const char *relay_values;
    /* What stands before and behind the name of a prepared transaction where it is shown. */
    const char *before_prepared;
    const char *after_prepared;
};

/* What is behind a connection. */
struct db;
void *db_conn(struct db *db);
struct db *db_wrap(void *conn);

/* A handle for a connection that somebody else ends; and the connection, without the handle. */
struct db *db_wrap(void *conn);
void *db_unwrap(struct db *db);

extern const struct db_kind db_postgres;
extern const struct db_kind db_mysql;

#endif
