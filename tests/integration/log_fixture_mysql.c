/* The part of log_fixture.h for the binary log of MariaDB and MySQL, on the test's own server. */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#include "tests/integration/log_fixture_private.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

static struct db *writer; /* has a transaction open */

static void
end_reader(void)
{
    db_end_session(scene.db, db_int(scene.db, "select max(id) from information_schema.processlist "
                                              "where command like 'Binlog Dump%'"));
}

/* The file that is being written. MySQL 8.4 and later have another statement for it. */
static void
name_of_log(char *name, size_t size)
{
    const bool has_new_words = !db_try(scene.db, "show master status");
    (void)snprintf(name, size, "%s",
                   db_text(scene.db, has_new_words ? "show binary log status"
                                                   : "show master status")); /* fits */
}

/* The server keeps the file until all of its transactions are in the engine's files. */
static bool
is_removed(void *context)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "show binlog events in '%s' limit 1",
                   (const char *)context); /* fits */
    db_exec(scene.db, "purge binary logs before now() + interval 1 day");
    return !db_try(scene.db, sql);
}

/* Removes the file of the log that the relay must read next. An open transaction keeps the relay from reading the log
 * from a place after its beginning, and the stopped relay does not read on into the next file. The relay is stopped
 * when nothing is in flight: a row that it must not see yet because of that transaction would make it poll for another
 * reason. */
static void
purge(void)
{
    char name[100];
    struct db *pause = db_connect();
    /* Applications wait for this transaction. */
    db_exec(pause, "begin; update account set seq = seq");
    await_empty_outbox(scene.db);
    writer = db_connect();
    db_exec(writer, "begin; insert into outbox (payload) values ('x')");
    relay_signal(scene.relay, SIGSTOP);
    db_close(pause);
    end_reader();
    name_of_log(name, sizeof(name));
    db_exec(scene.db, "flush binary logs");
    await(is_removed, name, "the log is removed", PATIENCE_S);
    relay_signal(scene.relay, SIGCONT);
}

static void
end_transaction(void)
{
    db_close(writer);
}

/* MySQL 8.4 and later have another statement for it. */
static void
begin_anew(void)
{
    if (!db_try(scene.db, "reset master")) {
        db_exec(scene.db, "reset binary logs and gtids");
    }
}

static void
restart_with(const char *line)
{
    servers_restart_with(line);
    scene_reconnect();
}

static void
restart_without(void)
{
    servers_restart_without();
    scene_reconnect();
}

static void
keep_no_log(void)
{
    restart_with("skip-log-bin");
}

static void
ignore_database(void)
{
    char line[200];
    (void)snprintf(line, sizeof(line), "binlog-ignore-db = %s",
                   mysql_fixture_database()); /* fits */
    restart_with(line);
}

/* Sessions keep the value from their start, and those of the applications have started already. */
static void
log_statements(void)
{
    scene_await("applications write", "select count(*) >= 10 from account where seq > 0");
    db_exec(scene.db, "set global binlog_format = 'STATEMENT'");
    struct db *session = db_connect();
    traffic_burst(session, scene.queue, 10, 1);
    db_close(session);
}

static void
log_rows(void)
{
    db_exec(scene.db, "set global binlog_format = 'ROW'");
}

const struct log_ways log_ways_mysql[] = {
    [LOG_REMOVED] = {.harm = purge,
                     .mend = end_transaction,
                     .event = "event=not_tailing",
                     .words = "the server does not send its log from where it was to be read (1236",
                     .rounds = 1},
    [LOG_BEGUN_ANEW] = {.harm = begin_anew,
                        .event = "event=source_lost",
                        .words = "(RESET MASTER)", /* noticed by the watermark, or by the reader */
                        .rounds = 3,
                        .repeats = true},
    [LOG_NOT_KEPT] = {.harm = keep_no_log,
                      .mend = restart_without,
                      .event = "event=not_tailing",
                      .words = "the server keeps no binary log: start it with log_bin",
                      .rounds = 1,
                      .repeats = true},
    [LOG_WITHOUT_OUTBOX] = {.harm = ignore_database,
                            .mend = restart_without,
                            .event = "event=not_tailing",
                            .words = "out of its log: mend its binlog_do_db or binlog_ignore_db",
                            .rounds = 1,
                            .repeats = true},
    [LOG_WITHOUT_ROWS] = {.harm = log_statements,
                          .mend = log_rows,
                          .event = "event=not_tailing",
                          .words = "let all sessions have binlog_format = ROW",
                          .rounds = 1},
    [LOG_SWITCHED_OFF] = {.harm = keep_no_log,
                          .mend = restart_without,
                          .event = "event=not_tailing",
                          .words = "the server keeps no binary log: start it with log_bin",
                          .rounds = 1,
                          .repeats = true},
};
