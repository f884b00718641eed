#include "tests/integration/db_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/db_fixture_private.h"

struct db {
    void *conn;
};

static const struct db_kind *
kind(void)
{
    static const struct db_kind *const kinds[] = {&db_postgres, &db_mysql};
    const char *name = getenv("OUTBOX_TEST_DATABASE");
    if (name == NULL) {
        return &db_postgres;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i]->name) == 0) {
            return kinds[i];
        }
    }
    (void)fprintf(stderr, "OUTBOX_TEST_DATABASE is neither postgres nor mysql: %s\n", name);
    abort();
}

struct db *
db_wrap(void *conn)
{
    struct db *db = malloc(sizeof(*db));
    if (db == NULL) {
        abort();
    }
    db->conn = conn;
    return db;
}

void *
db_conn(struct db *db)
{
    return db->conn;
}

void *
db_unwrap(struct db *db)
{
    void *conn = db->conn;
    free(db);
    return conn;
}

const char *
db_kind(void)
{
    return kind()->name;
}

const char *
db_server(void)
{
    return kind()->server;
}

bool
db_is_mysql(void)
{
    return kind() == &db_mysql;
}

const void *
db_choose(const void *postgres, const void *mysql)
{
    return db_is_mysql() ? mysql : postgres;
}

const char *
db_sent_count(void)
{
    return db_choose("select coalesce(sum(cardinality(ids)), 0) from outbox_sent_batch",
                     "select coalesce(sum(octet_length(message_ids)) div 16, 0) from "
                     "outbox_sent_batch");
}

const char *
db_sent_ids(void)
{
    return db_choose("select string_agg(id::text, ',' order by id) from outbox_sent_batch, "
                     "unnest(ids) as id",
                     "select group_concat(id order by id) from outbox_sent_batch join "
                     "json_table(concat('[', ids, ']'), '$[*]' columns (id bigint path '$')) as "
                     "sent");
}

struct db *
db_create(void)
{
    return db_wrap(kind()->create());
}

void
db_drop(struct db *db)
{
    kind()->drop(db->conn);
    free(db);
}

const char *
db_dsn(void)
{
    return kind()->dsn();
}

int
db_port(void)
{
    return kind()->port();
}

const char *
db_database(void)
{
    return kind()->database();
}

struct db *
db_create_second(void)
{
    return db_wrap(kind()->create_second());
}

const char *
db_second_dsn(void)
{
    return kind()->second_dsn();
}

struct db *
db_connect(void)
{
    return db_wrap(kind()->connect(true));
}

struct db *
db_try_connect(void)
{
    void *conn = kind()->connect(false);
    return conn == NULL ? NULL : db_wrap(conn);
}

void
db_close(struct db *db)
{
    if (db != NULL) {
        kind()->close(db->conn);
        free(db);
    }
}

void
db_load_outbox(struct db *db)
{
    kind()->load_outbox(db->conn);
}

void
db_load_outbox_alone(struct db *db)
{
    kind()->load_outbox_alone(db->conn);
}

void
db_load_log(struct db *db)
{
    kind()->load_log(db->conn);
}

void
db_load(struct db *db, const char *name)
{
    kind()->load(db->conn, name);
}

const char *
db_log_position(struct db *db)
{
    return kind()->log_position(db->conn);
}

bool
db_may_forget(struct db *db, const char *position)
{
    return kind()->may_forget(db->conn, position);
}

void
db_forget_log(struct db *db)
{
    kind()->forget_log(db->conn);
}

void
db_lift_limits(struct db *db)
{
    kind()->lift_limits(db->conn);
}

void
db_lift_headers(struct db *db)
{
    kind()->lift_headers(db->conn);
}

void
db_lift_not_null(struct db *db)
{
    db_exec(db, kind()->lift_not_null);
}

bool
db_cancel(struct db *db, const char *message_id)
{
    return kind()->cancel(db->conn, message_id);
}

void
db_exec(struct db *db, const char *sql)
{
    kind()->exec(db->conn, sql);
}

bool
db_try(struct db *db, const char *sql)
{
    return kind()->try(db->conn, sql);
}

const char *
db_error(struct db *db)
{
    return kind()->error(db->conn);
}

const char *
db_text(struct db *db, const char *sql)
{
    return kind()->text(db->conn, sql);
}

int64_t
db_int(struct db *db, const char *sql)
{
    return strtoll(db_text(db, sql), NULL, 10);
}

/* PostgreSQL says t, the others 1. */
bool
db_holds(struct db *db, const char *sql)
{
    const char *text = db_text(db, sql);
    return strcmp(text, "t") == 0 || strcmp(text, "1") == 0;
}

void
db_forbid(struct db *db, const char *what, const char *table, const char *rows)
{
    kind()->forbid(db->conn, what, table, rows);
}

void
db_analyze(struct db *db)
{
    db_exec(db, kind()->analyze);
}

void
db_count_looks(struct db *db)
{
    kind()->count_looks(db->conn);
}

int64_t
db_looks(struct db *db)
{
    return kind()->looks(db->conn);
}

void
db_load_rows(struct db *db, const char *table_and_columns, const char *lines)
{
    kind()->load_rows(db->conn, table_and_columns, lines);
}

void
db_drop_index(struct db *db, const char *table, const char *index)
{
    kind()->drop_index(db->conn, table, index);
}

void
db_rewrite(struct db *db, const char *table)
{
    kind()->rewrite(db->conn, table);
}

void
db_change_type(struct db *db, const char *table, const char *column, const char *type)
{
    kind()->change_type(db->conn, table, column, type);
}

void
db_make_anew(struct db *db)
{
    kind()->make_anew(db->conn);
}

void
db_copy_outbox(struct db *db)
{
    kind()->copy_outbox(db->conn);
}

bool
db_tells_tables_apart(void)
{
    return kind()->tells_tables_apart;
}

const char *
db_event_copied(void)
{
    return kind()->event_copied;
}

void
db_take_large(struct db *db)
{
    kind()->take_large(db->conn);
}

void
db_write_fast(struct db *db)
{
    kind()->write_fast(db->conn);
}

void
db_lock_outbox(struct db *db)
{
    kind()->lock_outbox(db->conn);
}

void
db_empty_outbox(struct db *db)
{
    kind()->empty_outbox(db->conn);
}

void
db_unlock_outbox(struct db *db)
{
    kind()->unlock_outbox(db->conn);
}

void
db_use_up_ids(struct db *db)
{
    kind()->use_up_ids(db->conn);
}

const char *
db_own_ids(void)
{
    return kind()->own_ids;
}

const char *
db_words_denied(void)
{
    return kind()->words_denied;
}

const char *
db_words_no_outbox(void)
{
    return kind()->words_no_outbox;
}

const char *
db_words_without_ids(struct db *db)
{
    return kind()->words_without_ids(db->conn);
}

void
db_create_user(struct db *db, const char *name, const char *password)
{
    kind()->create_user(db->conn, name, password);
}

void
db_set_password(struct db *db, const char *name, const char *password)
{
    kind()->set_password(db->conn, name, password);
}

void
db_grant_relay(struct db *db, const char *name)
{
    kind()->grant_relay(db->conn, name);
}

void
db_grant_all(struct db *db, const char *name)
{
    kind()->grant_all(db->conn, name);
}

void
db_grant(struct db *db, const char *name, const char *rights, const char *table)
{
    kind()->grant(db->conn, name, rights, table);
}

void
db_revoke(struct db *db, const char *name, const char *rights, const char *table)
{
    kind()->revoke(db->conn, name, rights, table);
}

void
db_shut_out(struct db *db, const char *name, bool out)
{
    kind()->shut_out(db->conn, name, out);
}

void
db_end_sessions_of(struct db *db, const char *name)
{
    kind()->end_sessions_of(db->conn, name);
}

void
db_drop_user(struct db *db, const char *name)
{
    kind()->drop_user(db->conn, name);
}

void
db_allow(struct db *db, const char *rights, const char *table)
{
    kind()->allow(db->conn, rights, table);
}

void
db_allow_cancel(struct db *db)
{
    kind()->allow_cancel(db->conn);
}

void
db_allow_role(struct db *db, const char *role)
{
    kind()->allow_role(db->conn, role);
}

struct db *
db_connect_allowed(void)
{
    return db_wrap(kind()->connect_allowed());
}

/* Names are the server's: the database's is in it as well. */
static const char *
full_name(const char *name)
{
    static char text[128];
    (void)snprintf(text, sizeof(text), "%s %s", kind()->database(), name); /* fits */
    return text;
}

const char *
db_prepared_name(const char *name)
{
    static char text[140];
    (void)snprintf(text, sizeof(text), "%s%s%s", kind()->before_prepared, full_name(name),
                   kind()->after_prepared); /* fits */
    return text;
}

void
db_prepare_begin(struct db *db, const char *name)
{
    kind()->prepare_begin(db->conn, full_name(name));
}

void
db_prepare_end(struct db *db, const char *name)
{
    kind()->prepare_end(db->conn, full_name(name));
}

void
db_prepare(struct db *db, const char *name, const char *sql)
{
    db_prepare_begin(db, name);
    db_exec(db, sql);
    db_prepare_end(db, name);
}

void
db_end_prepared(struct db *db, const char *name, bool commit)
{
    kind()->end_prepared(db->conn, full_name(name), commit);
}

void
db_send(struct db *db, const char *sql)
{
    kind()->send(db->conn, sql);
}

void
db_await_end(struct db *db)
{
    kind()->await_end(db->conn);
}

int64_t
db_session(struct db *db)
{
    return kind()->session(db->conn);
}

void
db_wait_blocked(struct db *db, int64_t session)
{
    kind()->wait_blocked(db->conn, session);
}

void
db_wait_any_blocked(struct db *db)
{
    kind()->wait_any_blocked(db->conn);
}

void
db_change_zone(struct db *db)
{
    kind()->change_zone(db->conn);
}

void
db_limit_waits(struct db *db)
{
    kind()->limit_waits(db->conn);
}

void
db_begin_at(struct db *db, const char *level)
{
    kind()->begin_at(db->conn, level);
}

void
db_begin_winner(struct db *db)
{
    kind()->begin_winner(db->conn);
}

void
db_end_session(struct db *db, int64_t session)
{
    kind()->end_session(db->conn, session);
}

int64_t
db_owner(struct db *db)
{
    return kind()->owner(db->conn);
}

void
db_be_relay(struct db *db)
{
    kind()->be_relay(db->conn);
}

void
db_be_shop(struct db *db)
{
    kind()->be_shop(db->conn);
}

const char *
db_relay_columns(void)
{
    return kind()->relay_columns;
}

const char *
db_relay_values(void)
{
    return kind()->relay_values;
}

const char *
db_account(void)
{
    return kind()->account;
}

const char *
db_role(void)
{
    return kind()->role;
}

const char *
db_words_application(void)
{
    return kind()->application;
}

const char *
db_words_since(void)
{
    return kind()->since;
}

const char *
db_words_never(void)
{
    return kind()->never;
}
