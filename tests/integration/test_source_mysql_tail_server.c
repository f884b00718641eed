/* The log of a MariaDB or MySQL source, on a server of its own for each test: changes to the whole binary log, which has the
 * changes of all databases. The rest: test_source_tail_server.c. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/source_tail_server_fixture.h"

TestSuite(source_mysql_tail_server, .init = tail_server_create, .fini = tail_server_drop,
          .timeout = 240);

/* Positions of the old log are forgotten together with the ownership. */
Test(source_mysql_tail_server, a_log_that_is_numbered_anew)
{
    tail_run("flush binary logs");
    (void)source_fixture_watermark(source);
    (void)source_fixture_tail(source, 0);
    source->ops->tail_end(source, clock_monotonic_us());
    mysql_fixture_reset_log(db_conn(admin));
    source->ops->watermark(source, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    tail_expect_words(&lost, "the server's log was begun anew (RESET MASTER)");
    (void)source_fixture_await_owned(source);
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
}

/* Changes gtid_mode step by step from off to on, or back, because the default depends on the version. */
static void
turn_gtids_round(void)
{
    static const char *const modes[] = {"off", "off_permissive", "on_permissive", "on"};
    const bool on = db_holds(admin, "select @@global.gtid_mode = 'ON'");
    tail_run("set global enforce_gtid_consistency = on");
    for (size_t step = 1; step < 4; step++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql), "set global gtid_mode = %s",
                       modes[on ? 3 - step : step]); /* fits */
        tail_run(sql);
    }
}

/* In MySQL transactions may have GTIDs or not; in MariaDB they always do, in any number of domains. */
Test(source_mysql_tail_server, transactions_of_other_names)
{
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    if (mysql_fixture_is_mariadb(db_conn(admin))) {
        tail_run("set session gtid_domain_id = 7");
        tail_run("set session gtid_seq_no = 4711");
    } else {
        turn_gtids_round();
    }
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(1, 1, 2);
}
