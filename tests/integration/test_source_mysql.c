#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/mysql/source.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *admin;

static void
create(void)
{
    admin = mysql_fixture_create();
    outbox_mysql_fixture_load(admin);
    outbox_mysql_fixture_load_relay(admin);
}

static void
drop(void)
{
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql, .init = create, .fini = drop, .timeout = 120);

Test(source_mysql, the_second_stands_by_and_takes_over)
{
    struct source_config config = source_mysql_fixture_config(10 * CLOCK_S_US);
    struct source *first = source_fixture_own(&config);
    struct source *second = source_fixture_open(&config);
    (void)source_fixture_expect(second, SOURCE_STANDBY);
    first->ops->free(first);
    (void)source_fixture_await_owned(second);
    source_fixture_close(second, &config);
}
