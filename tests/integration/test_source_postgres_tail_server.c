/* The log of a PostgreSQL source, on a server of its own, because nobody else can make a slot while a transaction is open. The
 * rest: test_source_tail_server.c. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "tests/integration/source_tail_server_fixture.h"

TestSuite(source_postgres_tail_server, .init = tail_server_create, .fini = tail_server_drop,
          .timeout = 240);

Test(source_postgres_tail_server, a_transaction_that_is_open_for_long_is_blamed)
{
    struct db *long_one = db_connect();
    db_exec(long_one, "begin; insert into outbox (payload) values ('1')");
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    tail_expect_notice("does not exist");
    tail_expect_notice("waits for transactions that were open");
    db_exec(long_one, "commit");
    (void)source_fixture_expect(source, SOURCE_TAILING);
    db_close(long_one);
}
