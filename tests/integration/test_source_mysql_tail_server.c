/* Reading the log of a server that is set up otherwise, that crashes, throws log away or is replaced: on a server of its
 * own for each test. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

#define ROWS_MAX 1000
/* Longer than any statement of these tests, while which the source does not work. */
#define TAKEOVER_US (60 * CLOCK_S_US)

static MYSQL *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    servers_start("mariadb");
    admin = source_mysql_fixture_create();
    config = source_mysql_fixture_config(TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_close(admin);
    servers_stop();
}

TestSuite(source_mysql_tail_server, .init = create, .fini = drop, .timeout = 240);

static void
run(const char *sql)
{
    mysql_fixture_exec(admin, sql);
}

/* So many rows, in how many batches they like. */
static void
expect_rows(int64_t first, size_t count)
{
    for (size_t seen = 0; seen < count;) {
        const struct source_log log = source_fixture_log(source, ROWS_MAX);
        for (size_t i = 0; i < log.batch->count; i++, seen++) {
            const int64_t id = log.batch->rows[i].id;
            cr_assert_eq(id, first + (int64_t)seen, "%ld instead of %ld", id,
                         first + (int64_t)seen);
        }
        batch_free(log.batch);
    }
}

/* AddressSanitizer keeps what was freed for a while: then there is nothing to measure. */
static long
memory_kib(void)
{
    struct rusage usage;
#if defined(__SANITIZE_ADDRESS__)
    return 0;
#endif
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* Here, since a large row of anybody else's in the same log is in memory once, too. */
Test(source_mysql_tail_server, a_huge_transaction_takes_no_memory)
{
    source = source_fixture_own(&config);
    (void)source_fixture_tail(source, 0);
    const long before_kib = memory_kib();
    run("create table ten (n int)");
    run("insert into ten values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)");
    run("insert into outbox (id, payload) select 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n, "
        "repeat('x', 4000) from ten a, ten b, ten c, ten d order by 1");
    expect_rows(1, 10000);
    cr_assert_lt(memory_kib() - before_kib, 8 << 10);
}
