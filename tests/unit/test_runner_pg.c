#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consumers/runner_pg.h"

Test(runner_pg, whose_fault_an_sqlstate_is)
{
    static const struct {
        const char *sqlstate;
        enum runner_fault fault;
    } cases[] = {
        {"40P01", RUNNER_FAULT_CONTENTION}, /* deadlock */
        {"40001", RUNNER_FAULT_CONTENTION}, /* serialization failure */
        {"55P03", RUNNER_FAULT_CONTENTION}, /* lock not available */
        {"08006", RUNNER_FAULT_OUTAGE},     /* connection failure */
        {"57P01", RUNNER_FAULT_OUTAGE},     /* administrator's shutdown */
        {"53100", RUNNER_FAULT_OUTAGE},     /* disk full */
        {"25P03", RUNNER_FAULT_OUTAGE},  /* idle in a transaction for too long: ends the session */
        {"25006", RUNNER_FAULT_OUTAGE},  /* a standby: read only */
        {"58030", RUNNER_FAULT_OUTAGE},  /* input/output error */
        {"57014", RUNNER_FAULT_MESSAGE}, /* statement timeout */
        {"25P02", RUNNER_FAULT_MESSAGE}, /* transaction has failed */
        {"23505", RUNNER_FAULT_MESSAGE}, /* unique violation */
        {"22P02", RUNNER_FAULT_MESSAGE}, /* not a number */
        {"42P01", RUNNER_FAULT_OUTAGE},  /* no such table: not migrated yet */
        {"42501", RUNNER_FAULT_OUTAGE},  /* a right was revoked */
        {"", RUNNER_FAULT_MESSAGE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(runner_pg_fault(cases[i].sqlstate), cases[i].fault, "%s", cases[i].sqlstate);
    }
}

Test(runner_pg, a_database_that_is_not_there_is_an_outage)
{
    const struct runner_options options = {.dsn = "host=/nonexistent dbname=x"};
    struct runner_session *session = runner_pg_new(&options, NULL, NULL);
    struct error error = {0};
    cr_expect_eq(session->kind->open(session, &error), RUNNER_FAULT_OUTAGE);
    cr_expect_eq(session->kind->begin(session, &error), RUNNER_FAULT_OUTAGE);
    cr_expect_neq(error.text[0], '\0');
    cr_expect_null(strchr(error.text, '\n'));
    session->kind->rollback(session, false);
    session->kind->cut(session);
    session->kind->close(session);
    session->kind->free(session);
}

/* libpq would wait for a pipe's writer. */
Test(runner_pg, files_are_looked_at_before_libpq_opens_them, .timeout = 60)
{
    char directory[] = "/tmp/test_runner_pg.XXXXXX";
    char dsn[100];
    char path[60];
    cr_assert_not_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/pipe", directory);
    (void)snprintf(dsn, sizeof(dsn), "host=/nonexistent sslkey=%s", path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    const struct runner_options options = {.dsn = dsn};
    struct runner_session *session = runner_pg_new(&options, NULL, NULL);
    struct error error = {0};
    cr_expect_eq(session->kind->open(session, &error), RUNNER_FAULT_OUTAGE);
    cr_expect_not_null(strstr(error.text, "this is no regular file"), "%s", error.text);
    session->kind->free(session);
    cr_assert_eq(unlink(path) + rmdir(directory), 0);
}
