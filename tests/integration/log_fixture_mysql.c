/* The part of log_fixture.h for the binary log of MariaDB and MySQL, on the test's own server. */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#include "tests/integration/db_fixture_private.h"
#include "tests/integration/log_fixture_private.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

static struct db *writer; /* has a transaction open */

static void
end_reader(void)
{
    db_end_session(scene.db, db_int(scene.db, "select max(id) from " MYSQL_SESSIONS " "
                                              "where command like 'Binlog Dump%'"));
}

/* Removes the file of the log that the relay must read next. An open transaction keeps the relay from reading the log
 * from a place after its beginning, and the stopped relay does not read on into the next file. The relay is stopped
 * when nothing is in flight: a row that it must not see yet because of that transaction would make it poll for another
 * reason. */
static void
purge(void)
{
    struct db *pause = db_connect();
    /* Applications wait for this transaction. */
    db_exec(pause, "begin; update account set seq = seq");
    await_empty_outbox(scene.db);
    writer = db_connect();
    db_exec(writer, "begin; insert into outbox (payload) values ('x')");
    relay_signal(scene.relay, SIGSTOP);
    db_close(pause);
    end_reader();
    db_forget_log(scene.db);
    relay_signal(scene.relay, SIGCONT);
}

static void
end_transaction(void)
{
    db_close(writer);
}

static void
begin_anew(void)
{
    mysql_fixture_reset_log(db_conn(scene.db));
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
