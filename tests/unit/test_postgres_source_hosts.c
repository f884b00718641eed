#include <criterion/criterion.h>
#include <poll.h>

#include "relay/postgres/source_hosts.h"

static struct pg_hosts hosts;

static void
init(const char *dsn)
{
    struct error error;
    cr_assert(pg_hosts_init(&hosts, dsn, &error), "%s", error.text);
}

/* Like pg_hosts_next, but waits for the look-up. */
static enum pg_hosts_step
next(struct pg_target *ret_target)
{
    struct error error;
    enum pg_hosts_step step;
    while ((step = pg_hosts_next(&hosts, ret_target, &error)) == PG_HOSTS_LOOKING_UP) {
        struct pollfd descriptor = {.fd = pg_hosts_fd(&hosts), .events = POLLIN};
        cr_assert_eq(poll(&descriptor, 1, 20000), 1);
    }
    return step;
}

static void
expect(const char *name, const char *address, const char *port)
{
    struct pg_target target;
    cr_assert_eq(next(&target), PG_HOSTS_TARGET);
    cr_assert_str_eq(target.name != NULL ? target.name : "", name);
    cr_assert_str_eq(target.address != NULL ? target.address : "", address);
    cr_assert_str_eq(target.port != NULL ? target.port : "", port);
}

static void
expect_end(void)
{
    struct pg_target target;
    cr_assert_eq(next(&target), PG_HOSTS_END);
    pg_hosts_done(&hosts);
}

Test(postgres_source_hosts, a_dsn_without_a_host_is_left_to_libpq)
{
    init("dbname=shop");
    expect("", "", "");
    expect_end();
}

Test(postgres_source_hosts, tries_one_after_the_other)
{
    init("host=127.0.0.1,/run/postgresql,::1 port=5432,5433,");
    expect("127.0.0.1", "127.0.0.1", "5432");
    expect("/run/postgresql", "", "5433");
    expect("::1", "::1", "");
    struct pg_target target;
    cr_assert_eq(next(&target), PG_HOSTS_END);
    pg_hosts_rewind(&hosts);
    expect("127.0.0.1", "127.0.0.1", "5432");
    pg_hosts_done(&hosts);
}

Test(postgres_source_hosts, one_port_stands_for_all)
{
    init("postgresql://user:secret@127.0.0.1,127.0.0.2/shop?port=77");
    expect("127.0.0.1", "127.0.0.1", "77");
    expect("127.0.0.2", "127.0.0.2", "77");
    expect_end();
}

Test(postgres_source_hosts, addresses_of_the_dsn_need_no_look_up)
{
    init("host=db.example.invalid hostaddr=192.0.2.1");
    expect("db.example.invalid", "192.0.2.1", "");
    expect_end();
}

Test(postgres_source_hosts, a_name_is_looked_up)
{
    struct pg_target target;
    init("host=localhost");
    cr_assert_eq(next(&target), PG_HOSTS_TARGET);
    cr_assert_str_eq(pg_hosts_name(&hosts), "localhost");
    cr_assert_not_null(target.address);
    cr_assert_eq(pg_hosts_fd(&hosts), -1);
    pg_hosts_done(&hosts);
}

Test(postgres_source_hosts, goes_on_after_a_name_that_is_unknown)
{
    struct pg_target target;
    init("host=db.example.invalid,127.0.0.1");
    cr_assert_eq(next(&target), PG_HOSTS_UNKNOWN);
    expect("127.0.0.1", "127.0.0.1", "");
    expect_end();
}

Test(postgres_source_hosts, refuses_what_it_cannot_read_and_repeats_no_secret)
{
    struct error error;
    cr_assert_not(pg_hosts_init(&hosts, "host=a password=open sesame", &error));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_null(strstr(error.text, "sesame"));
    cr_assert_not(pg_hosts_init(&hosts, "host=a,b,c port=1,2", &error));
    cr_assert_not(pg_hosts_init(&hosts, "host=a,b hostaddr=192.0.2.1", &error));
    cr_assert_eq(error.class, ERROR_CONFIG);
}
