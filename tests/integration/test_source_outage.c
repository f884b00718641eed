/* What becomes of a source whose server restarts, crashes or freezes: on a server of its own for each test, since others use
 * theirs at the same time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/source_fixture.h"

static struct db *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    servers_start(db_server());
    admin = db_create();
    db_load_outbox(admin);
    source_fixture_insert(admin, 2);
    config = source_fixture_here(10 * CLOCK_S_US);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    db_close(admin);
    servers_stop();
}

TestSuite(source_outage, .init = create, .fini = drop, .timeout = 300);

static void
server_does(const char *what)
{
    char command[50];
    (void)snprintf(command, sizeof(command), "%s %s", what, db_server()); /* fits */
    servers_do(command);
}

static struct batch *
fetch_after(int64_t id)
{
    return source_fixture_fetch(
        source, (struct fetch){.after_id = id, .rows_max = 1000, .bytes_max = 4 << 20});
}

static struct error
expect_loss(void)
{
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(error.class, ERROR_CONNECTION, "%s", error.text);
    return error;
}

/* It tries, in vain at first or not; owns again, and does its work. */
static void
expect_return(void)
{
    struct source_event event;
    do {
        event = source_fixture_next(source);
        cr_assert(event.type == SOURCE_LOST || event.type == SOURCE_STANDBY ||
                  event.type == SOURCE_OWNED);
        cr_assert(event.type != SOURCE_LOST || event.lost.class != ERROR_CONFIG, "%s",
                  event.lost.text);
    } while (event.type != SOURCE_OWNED);
    struct batch *batch = fetch_after(0);
    cr_assert_eq(batch->count, 2);
    batch_free(batch);
}

Test(source_outage, comes_back_after_a_restart_and_after_a_crash)
{
    source = source_fixture_own(&config);
    server_does("restart");
    const struct error error = expect_loss();
    /* MariaDB's may also say that it is about to end. */
    cr_assert(db_is_mysql() || strstr(error.text, source_fixture_kind()->words_session_ended), "%s",
              error.text);
    expect_return();
    server_does("kill");
    (void)expect_loss();
    (void)expect_loss();
    server_does("start");
    expect_return();
}

Test(source_outage, gives_up_a_server_that_does_not_answer)
{
    config.takeover_us = 2 * CLOCK_S_US;
    source = source_fixture_own(&config);
    server_does("pause");
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(error.class, ERROR_TRANSIENT, "it is there");
    cr_assert_not_null(strstr(error.text, "no answer for longer than takeover"), "%s", error.text);
    server_does("resume");
    expect_return();
}
