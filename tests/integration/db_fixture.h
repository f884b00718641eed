/* tests/integration/db_fixture.h - a database of the test's own, of the kind that OUTBOX_TEST_DATABASE names: "postgres", which is
 * the default, or "mysql", which is MariaDB or MySQL. A test is written once and runs over each: its statements are those that all
 * servers know, with what dialect_*.sql adds to each kind. A column `key` is written in double quotes.
 *
 * Used by Criterion tests and by plain programs: whatever goes wrong here prints why and aborts. The servers are named as
 * pg_fixture.h and mysql_fixture.h say. A handle is one thread's at a time. */
#ifndef TESTS_INTEGRATION_DB_FIXTURE_H
#define TESTS_INTEGRATION_DB_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

struct db; /* a connection to it */

/* As `kind` in a configuration has it; and what tests/services calls the server. */
const char *db_kind(void);
const char *db_server(void);
bool db_is_mysql(void);
/* Which of these belongs to the kind of database. It has one parameter for each kind, so that whoever adds a kind is told by the
 * compiler what else it needs. */
const void *db_choose(const void *postgres, const void *mysql);
/* In SQL: how many messages are recorded as sent; their ids in order, with commas between them. */
const char *db_sent_count(void);
const char *db_sent_ids(void);

/* Creates a database, with the dialect, and connects to it. One at a time in a process; its name holds the process id, so
 * processes do not meet. */
struct db *db_create(void);

/* Closes `db`, the connection from db_create; throws out everybody else, ends prepared transactions, and drops the database. */
void db_drop(struct db *db);

/* How the relay reaches it: `dsn` of a configuration; and the port in it. Static. */
const char *db_dsn(void);
int db_port(void);

/* Its name. */
const char *db_database(void);

/* Another place for an outbox on the same server, without one yet: a connection to it, and how the relay reaches it. It goes with
 * the first. */
struct db *db_create_second(void);
const char *db_second_dsn(void);

/* One more connection to it; db_try_connect gives NULL while the server does not answer. */
struct db *db_connect(void);
struct db *db_try_connect(void);
void db_close(struct db *db);

/* The tables of the outbox, those of the relay among them, or without these; and what the log of the server needs to be read. */
void db_load_outbox(struct db *db);
void db_load_outbox_alone(struct db *db);
void db_load_log(struct db *db);

/* Runs tests/integration/NAME_postgres.sql or NAME_mysql.sql, in a session as an administrator has it. */
void db_load(struct db *db, const char *name);

/* Where the server's log ends now; and whether nothing keeps the server from forgetting what is before such a place. */
const char *db_log_position(struct db *db);
bool db_may_forget(struct db *db, const char *position);
/* The server throws away its log up to now, whoever needs it. MariaDB and MySQL keep what is being read. On a server of the
 * test's own. */
void db_forget_log(struct db *db);

/* The outbox takes what an older one took, or one that others made: no limits, no checks. Or headers of which no message can be
 * made, which not every kind refuses. */
void db_lift_limits(struct db *db);
void db_lift_headers(struct db *db);

/* These columns of the outbox may be NULL: message_id, created_at, payload and routing_key. */
void db_lift_not_null(struct db *db);

/* As an application cancels a scheduled message, by its message_id: true if it was cancelled. */
bool db_cancel(struct db *db, const char *message_id);

/* Runs SQL, one or more statements. db_try: false where the server refuses it or does not answer; db_error says why, until the
 * connection is used again. */
void db_exec(struct db *db, const char *sql);
bool db_try(struct db *db, const char *sql);
const char *db_error(struct db *db);

/* A trigger that refuses "insert", "update" or "delete" of such rows, with the word "forbidden": "new.id = 3". One for each of
 * these, and each table. */
void db_forbid(struct db *db, const char *what, const char *table, const char *rows);

/* Counts again what is in the tables of the outbox, for the plans of statements. */
void db_analyze(struct db *db);

/* How often sessions other than this one have looked at the outbox since db_count_looks, as far as the server was told of it. On
 * a server of the test's own. */
void db_count_looks(struct db *db);
int64_t db_looks(struct db *db);

/* Loads a file with these lines, values with a comma between them: "outbox (routing_key, payload)". */
void db_load_rows(struct db *db, const char *table_and_columns, const char *lines);

void db_drop_index(struct db *db, const char *table, const char *index);
void db_rewrite(struct db *db, const char *table); /* all of it is written anew */
void db_change_type(struct db *db, const char *table, const char *column, const char *type);

/* Another table in place of the outbox, whose ids begin anew; or a copy with what it holds and the ids that come next. */
void db_make_anew(struct db *db);
void db_copy_outbox(struct db *db);
/* Whether the relay notices that it is another one; and the line of its log by which it says that it reads a copy from now on. */
bool db_tells_tables_apart(void);
const char *db_event_copied(void);

/* Connections that are made from now on may send and be sent rows of hundreds of megabytes. On a server of the test's own. */
void db_take_large(struct db *db);

/* What is large is soon written by this connection, the server permitting. */
void db_write_fast(struct db *db);

/* The outbox for this connection alone, until it is unlocked. db_empty_outbox: what is written into it next has id 1 again. */
void db_lock_outbox(struct db *db);
void db_empty_outbox(struct db *db);
void db_unlock_outbox(struct db *db);

/* Stands behind the columns of an insert that gives the ids itself. No id after that: what the server says then; NULL
 * where the highest one is given again once its row is gone. */
const char *db_own_ids(void);
void db_use_up_ids(struct db *db);
const char *db_words_without_ids(struct db *db);

/* What the server says of a table that an account may not read. */
const char *db_words_denied(void);
/* What the commands say where there is no outbox. */
const char *db_words_no_outbox(void);

/* Accounts of the server. db_grant_relay: what the relay needs, as docs/OPERATIONS.md says it; db_grant_all: whatever there is;
 * db_grant and db_revoke: these rights to a table, such as "select, insert". */
void db_create_user(struct db *db, const char *name, const char *password);
void db_set_password(struct db *db, const char *name, const char *password);
void db_grant_relay(struct db *db, const char *name);
void db_grant(struct db *db, const char *name, const char *rights, const char *table);
void db_revoke(struct db *db, const char *name, const char *rights, const char *table);
void db_grant_all(struct db *db, const char *name);
/* Lets this account not connect to the database, or again. */
void db_shut_out(struct db *db, const char *name, bool out);
void db_end_sessions_of(struct db *db, const char *name);
void db_drop_user(struct db *db, const char *name);

/* Gives such rights to one more account, which the first call makes and db_drop drops, or the right to cancel; and a connection as
 * that account, which has what was given before. */
void db_allow(struct db *db, const char *rights, const char *table);
void db_allow_cancel(struct db *db);
struct db *db_connect_allowed(void);
/* Gives that account a role; it has its rights from its next connection on, and is named as the database is, with this
 * password. */
void db_allow_role(struct db *db, const char *role);
#define DB_ALLOWED_PASSWORD "secret"

/* The first column of the first row: NULL as 0 and as "". The text lives until the next call in the thread. */
int64_t db_int(struct db *db, const char *sql);
const char *db_text(struct db *db, const char *sql);
bool db_holds(struct db *db, const char *sql); /* whether it is true */

/* Runs a statement in a transaction of two phases and does the first; the connection is to be closed then. The second one is done
 * from any connection. The name is the test's own. */
void db_prepare(struct db *db, const char *name, const char *sql);
/* The same in two steps: any statements may stand between. */
void db_prepare_begin(struct db *db, const char *name);
void db_prepare_end(struct db *db, const char *name);
void db_end_prepared(struct db *db, const char *name, bool commit);
const char *db_prepared_name(const char *name); /* as the server shows it; static */

/* Sends a statement; it may run for long. db_await_end returns when it is done, and aborts where it failed. */
void db_send(struct db *db, const char *sql);
void db_await_end(struct db *db);

/* The number by which the server knows the session. */
int64_t db_session(struct db *db);
/* Returns once that session waits for a lock; aborts after 30 s without. */
void db_wait_blocked(struct db *db, int64_t session);
/* The same for any session in this database. */
void db_wait_any_blocked(struct db *db);
/* The times of this session are those of a zone far from UTC. */
void db_change_zone(struct db *db);
/* From now on this session soon fails where it waits for a lock. */
void db_limit_waits(struct db *db);
/* Begins a transaction at an isolation level, such as "repeatable read", as the standard has it: MariaDB's
 * innodb_snapshot_isolation is off. */
void db_begin_at(struct db *db, const char *level);
/* Begins a transaction that wins each deadlock. */
void db_begin_winner(struct db *db);
/* Ends it. */
void db_end_session(struct db *db, int64_t session);
/* The session that owns the outbox; 0 if none does. */
int64_t db_owner(struct db *db);
/* What an insert into outbox_relay has beside what all kinds have, as what the owner of the outbox says: columns and values, each
 * with a comma before it. */
const char *db_relay_columns(void);
const char *db_relay_values(void);
/* From now on this session is as that of a relay of source "orders", which owns the outbox if nobody does, and stands by if not. */
void db_be_relay(struct db *db);
/* This session says that it is that of the application "shop", where sessions can; and what is shown of it. */
void db_be_shop(struct db *db);
const char *db_words_application(void);
/* What operators' acts call the account of these connections; and its name alone. */
const char *db_account(void);
const char *db_role(void);
/* Since when a session is there, in the words of `status`, where the server tells it: " since TIME (AGE)". */
const char *db_words_since(void);
/* How last_time() is told, from its beginning. */
const char *db_words_never(void);

/* A derived table: the numbers i from `from` to `to`, which are SQL, or a format of it. */
#define DB_SERIES(from, to)                                                             \
    "(with recursive series(i) as (select " from " union all select i + 1 from series " \
    "where i < " to ") select i from series) as series"

#endif
