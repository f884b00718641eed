/* Columns that others have added to the outbox, for MariaDB and MySQL alone. The rest: test_source_extra.c. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/integration/source_held_fixture.h"

TestSuite(source_mysql_extra, .init = held_create, .fini = held_drop, .timeout = 120);

/* Promise: no value is lost silently. Bytes take twice their size as text, and the server has no text larger than
 * max_allowed_packet. */
Test(source_mysql_extra, what_is_too_large_to_be_a_text_is_not_moved)
{
    held_run("alter table outbox add large longblob, add more longtext");
    held_run("insert into outbox (\"key\", payload, large) values ('k', '1', 'x')");
    /* Twice half a packet as text, although the statement is short. */
    held_run("update outbox set large = repeat(x'00', @@max_allowed_packet div 2 + 1)");
    held_run("insert into outbox (\"key\", payload, more) values ('k', '2', repeat('\"', "
             "@@max_allowed_packet div 2 + 1)), ('k', '3', 'y')");
    const struct hold holds[] = {{.id = 1, .state = HELD_WAITING},
                                 {.id = 2, .state = HELD_WAITING},
                                 {.id = 3, .state = HELD_WAITING}};
    const struct source_held held = source_fixture_hold(source, holds, 3);
    cr_assert_eq(held.failures.count, 2);
    cr_assert(held.failures.items[0].id == 1 && held.failures.items[1].id == 2);
    free(held.failures.items);
    cr_assert_eq(held_count("select count(*) from outbox where length(large) > 1000000 or "
                            "length(more) > 1000000"),
                 2);
    cr_assert_eq(held_count("select count(*) from outbox_held"), 1);
}
