/* A source whose server restarts, crashes or freezes. Each test has its own server, because others use the shared ones
 * at the same time. */
#include <criterion/criterion.h>
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

Test(source_outage, comes_back_after_a_restart_and_after_a_crash)
{
    source = source_fixture_own(&config);
    servers_do_database("restart");
    const struct error error = source_fixture_expect_loss(source);
    /* MariaDB and MySQL may also say that they are shutting down. */
    cr_assert(db_is_mysql() || strstr(error.text, source_fixture_kind()->words_session_ended), "%s",
              error.text);
    source_fixture_expect_return(source);
    servers_do_database("kill");
    (void)source_fixture_expect_loss(source);
    (void)source_fixture_expect_loss(source);
    servers_do_database("start");
    source_fixture_expect_return(source);
}

Test(source_outage, gives_up_a_server_that_does_not_answer)
{
    config.takeover_us = 2 * CLOCK_S_US;
    source = source_fixture_own(&config);
    servers_do_database("pause");
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(error.class, ERROR_TRANSIENT, "it is there");
    cr_assert_not_null(strstr(error.text, "no answer for longer than takeover"), "%s", error.text);
    servers_do_database("resume");
    source_fixture_expect_return(source);
}
