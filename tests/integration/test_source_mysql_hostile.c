/* Rows that cannot be read. MariaDB and MySQL have no invalid texts, so a proxy produces the errors. The rest:
 * test_source_hostile.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/mysql_proxy_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *admin;
static struct source_config config;
static struct source *source;
static struct mysql_proxy *proxy;

static void
create(void)
{
    char more[100];
    admin = source_mysql_fixture_create();
    proxy = mysql_proxy_open((int)strtol(getenv("OUTBOX_TEST_MYSQL_PORT"), NULL, 10), -1);
    (void)snprintf(more, sizeof(more), "host=127.0.0.1 port=%d sslmode=disable",
                   mysql_proxy_port(proxy)); /* fits */
    config = source_mysql_fixture_config_with(more, 30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_proxy_close(proxy);
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql_hostile, .init = create, .fini = drop, .timeout = 120);

#define UNREADABLE "no disk gives this" /* the payload of an unreadable row */

/* Five rows, of which the third cannot be read. */
static void
insert_unreadable(void)
{
    source_mysql_fixture_insert(admin, 5);
    mysql_fixture_exec(admin, "update outbox set payload = '" UNREADABLE "' where id = 3");
    mysql_proxy_refuse(proxy, UNREADABLE);
}

#define WHY "it cannot be read: the database refused (1030: "

static void
expect_withheld(const struct row *row)
{
    cr_assert_eq(row->withheld != NULL, row->id == 3, "%d: %s", (int)row->id,
                 row->withheld != NULL ? row->withheld : "it was read");
    cr_assert(row->id != 3 || strstr(row->withheld, WHY) != NULL, "%s", row->withheld);
}

Test(source_mysql_hostile, a_row_that_cannot_be_read)
{
    const int64_t withheld[] = {3};
    insert_unreadable();
    (void)source_fixture_read_all(source, FETCH_NEXT, 5, withheld, 1, WHY);
}

/* Then it is not read again for some time, unless an operator asks; others are read meanwhile. */
Test(source_mysql_hostile, a_held_message_that_cannot_be_read)
{
    const struct fetch fetch = {.kind = FETCH_HEADS, .rows_max = 100, .bytes_max = 4 << 20};
    insert_unreadable();
    struct hold holds[5];
    for (int i = 0; i < 5; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_RETRYING, .reason = "refused"};
    }
    cr_assert_eq(source_fixture_hold(source, holds, 5).missing_count, 0);
    size_t read = 0;
    size_t withheld = 0;
    int64_t known[5] = {0};
    while (read < 5) {
        struct fetch rest = fetch;
        rest.ids = known;
        rest.id_count = read;
        struct batch *batch = source_fixture_fetch(source, rest);
        cr_assert_gt(batch->count, 0);
        for (size_t i = 0; i < batch->count; i++) {
            known[read++] = batch->rows[i].id;
            withheld += batch->rows[i].withheld != NULL;
            expect_withheld(&batch->rows[i]);
        }
        batch_free(batch);
    }
    cr_assert_eq(withheld, 1);
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert(batch->count == 1 && batch->rows[0].id == 3 && !batch->complete,
              "known, so it costs no search");
    expect_withheld(&batch->rows[0]);
    batch_free(batch);
    const int64_t unread = 3;
    struct fetch others = fetch;
    others.ids = &unread;
    others.id_count = 1;
    batch = source_fixture_fetch(source, others);
    cr_assert(batch->count == 4 && batch->complete);
    batch_free(batch);
}
