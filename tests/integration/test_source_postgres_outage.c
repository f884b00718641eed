/* What becomes of a source whose server restarts, crashes or freezes: on a server of its own for
 * each test, since others use theirs at the same time. */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

static PGconn *admin;
static char dsn[500];

static const char *
environment(const char *name)
{
    const char *value = getenv(name);
    cr_assert_not_null(value, "%s is not set: see tests/services", name);
    return value;
}

/* Runs `services INSTANCE arguments`; the first line of its output replaces `ret_line`. */
static void
services(const char *arguments, char *ret_line, size_t size)
{
    char command[600];
    (void)snprintf(command, sizeof(command), "'%s' '%s/source_outage_%ld' %s",
                   environment("OUTBOX_TEST_SERVICES"), environment("OUTBOX_TEST_DIR"),
                   (long)getpid(), arguments);
    FILE *output = popen(command, "r");
    cr_assert_not_null(output);
    if (fgets(ret_line, (int)size, output) == NULL) {
        ret_line[0] = '\0';
    }
    ret_line[strcspn(ret_line, "\n")] = '\0';
    cr_assert_eq(pclose(output), 0, "%s", command);
}

static void
run_services(const char *arguments)
{
    char line[100];
    services(arguments, line, sizeof(line));
}

static void
create(void)
{
    run_services("start postgres");
    services("env | sh -c '. /dev/stdin; echo \"$OUTBOX_TEST_PG_DSN\"'", dsn, sizeof(dsn));
    setenv("OUTBOX_TEST_PG_DSN", dsn, 1);
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    pg_exec(admin, "insert into outbox (payload) values ('1'), ('2')");
}

static void
drop(void)
{
    PQfinish(admin);
    run_services("stop");
}

TestSuite(source_postgres_outage, .init = create, .fini = drop, .timeout = 300);

static struct error
expect_loss(struct source *source)
{
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(error.class, ERROR_CONNECTION);
    return error;
}

/* It tries, in vain at first or not; owns again, and does its work. */
static void
expect_return(struct source *source)
{
    const struct fetch fetch = {.rows_max = 10, .bytes_max = 1000};
    struct source_event event;
    do {
        event = source_fixture_next(source);
        cr_assert(event.type == SOURCE_LOST || event.type == SOURCE_STANDBY ||
                  event.type == SOURCE_OWNED);
        cr_assert(event.type != SOURCE_LOST || event.lost.class != ERROR_CONFIG, "%s",
                  event.lost.text);
    } while (event.type != SOURCE_OWNED);
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 2);
    batch_free(batch);
}

Test(source_postgres_outage, comes_back_after_a_restart)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    run_services("restart postgres");
    const struct error error = expect_loss(source);
    cr_assert_not_null(strstr(error.text, "57P01"), "%s", error.text);
    expect_return(source);
    source_fixture_close(source, &config);
}

Test(source_postgres_outage, comes_back_after_a_crash)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    run_services("kill postgres");
    (void)expect_loss(source);
    (void)expect_loss(source);
    run_services("start postgres");
    expect_return(source);
    source_fixture_close(source, &config);
}

Test(source_postgres_outage, gives_up_a_server_that_does_not_answer)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 2 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    run_services("pause postgres");
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(error.class, ERROR_TRANSIENT, "it is there");
    cr_assert_not_null(strstr(error.text, "no answer for longer than takeover"), "%s", error.text);
    run_services("resume postgres");
    expect_return(source);
    source_fixture_close(source, &config);
}
