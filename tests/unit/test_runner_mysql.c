#include <criterion/criterion.h>
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consumers/runner_mysql.h"

Test(runner_mysql, whose_fault_an_error_number_is)
{
    static const struct {
        unsigned number;
        enum runner_fault fault;
    } cases[] = {
        {ER_LOCK_DEADLOCK, RUNNER_FAULT_CONTENTION},
        {ER_LOCK_WAIT_TIMEOUT, RUNNER_FAULT_CONTENTION},
        {ER_CHECKREAD, RUNNER_FAULT_CONTENTION}, /* innodb_snapshot_isolation */
        {3572, RUNNER_FAULT_CONTENTION},         /* nowait, in MySQL */
        {3101, RUNNER_FAULT_CONTENTION},         /* group replication: somebody was first */
        {CR_SERVER_GONE_ERROR, RUNNER_FAULT_OUTAGE},
        {CR_SERVER_LOST, RUNNER_FAULT_OUTAGE},
        {CR_CONN_HOST_ERROR, RUNNER_FAULT_OUTAGE},
        {ER_SERVER_SHUTDOWN, RUNNER_FAULT_OUTAGE},
        {1927, RUNNER_FAULT_OUTAGE},                         /* killed, in MariaDB */
        {4031, RUNNER_FAULT_OUTAGE},                         /* idle for too long, in MySQL */
        {ER_OPTION_PREVENTS_STATEMENT, RUNNER_FAULT_OUTAGE}, /* a replica: read only */
        {ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, RUNNER_FAULT_OUTAGE},
        {ER_RECORD_FILE_FULL, RUNNER_FAULT_OUTAGE},
        {ER_NO_SUCH_TABLE, RUNNER_FAULT_OUTAGE},            /* not migrated yet */
        {ER_TABLEACCESS_DENIED_ERROR, RUNNER_FAULT_OUTAGE}, /* a right was revoked */
        {ER_DUP_ENTRY, RUNNER_FAULT_MESSAGE},
        {ER_BAD_FIELD_ERROR, RUNNER_FAULT_MESSAGE},
        {ER_QUERY_INTERRUPTED, RUNNER_FAULT_MESSAGE},
        {ER_NET_PACKET_TOO_LARGE, RUNNER_FAULT_MESSAGE},
        {CR_COMMANDS_OUT_OF_SYNC, RUNNER_FAULT_MESSAGE}, /* results that were not read */
        {CR_NET_PACKET_TOO_LARGE, RUNNER_FAULT_MESSAGE},
        {CR_NO_PREPARE_STMT, RUNNER_FAULT_MESSAGE},
        {CR_UNSUPPORTED_PARAM_TYPE, RUNNER_FAULT_MESSAGE},
        {0, RUNNER_FAULT_MESSAGE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(runner_mysql_fault(cases[i].number), cases[i].fault, "%u", cases[i].number);
    }
}

Test(runner_mysql, a_database_that_is_not_there_is_an_outage)
{
    const struct runner_options options = {.dsn = "host=/nonexistent dbname=x"};
    struct runner_session *session = runner_mysql_new(&options, NULL, NULL);
    struct error error = {0};
    cr_expect_eq(session->kind->open(session, &error), RUNNER_FAULT_OUTAGE);
    cr_expect_eq(session->kind->begin(session, &error), RUNNER_FAULT_OUTAGE);
    cr_expect_not_null(strstr(error.text, "/nonexistent"), "%s", error.text);
    cr_expect_null(strchr(error.text, '\n'));
    session->kind->rollback(session, false);
    session->kind->cut(session);
    session->kind->close(session);
    session->kind->free(session);
}

static MYSQL *
give_foreign(void *context)
{
    return context;
}

/* What a connection of the other client library looks like for this one. It can neither be used nor closed. */
Test(runner_mysql, a_connection_of_another_client_library)
{
    MYSQL *conn = calloc(1, sizeof(*conn));
    memset(&conn->methods, 0x5a, sizeof(conn->methods));
    const struct runner_options options = {.context = conn};
    struct runner_session *session = runner_mysql_new(&options, give_foreign, NULL);
    struct error error = {0};
    cr_expect_eq(session->kind->open(session, &error), RUNNER_FAULT_OUTAGE);
    cr_expect_not_null(strstr(error.text, "link that client library and no other"), "%s",
                       error.text);
    session->kind->free(session);
    free(conn);
}

/* The client library would wait for a pipe's writer. */
Test(runner_mysql, files_are_looked_at_before_they_are_opened, .timeout = 60)
{
    char directory[] = "/tmp/test_runner_mysql.XXXXXX";
    char dsn[100];
    char path[60];
    cr_assert_not_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/pipe", directory);
    (void)snprintf(dsn, sizeof(dsn), "host=/nonexistent sslkey=%s", path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    const struct runner_options options = {.dsn = dsn};
    struct runner_session *session = runner_mysql_new(&options, NULL, NULL);
    struct error error = {0};
    cr_expect_eq(session->kind->open(session, &error), RUNNER_FAULT_OUTAGE);
    cr_expect_not_null(strstr(error.text, "this is no regular file"), "%s", error.text);
    session->kind->free(session);
    cr_assert_eq(unlink(path) + rmdir(directory), 0);
}
