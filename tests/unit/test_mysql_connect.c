#include "base/mysql/connect.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dsn
parsed(const char *text)
{
    struct dsn dsn;
    struct error error;
    cr_assert(dsn_mysql_parse(text, &dsn, &error), "%s: %s", text, error.text);
    return dsn;
}

Test(mysql_connect, hosts_are_counted)
{
    static const struct {
        const char *text;
        int hosts;
    } cases[] = {{"", 1}, {"host=a", 1}, {"host=a,b", 2}, {"mysql://a,b:3307,c/d", 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dsn dsn = parsed(cases[i].text);
        cr_expect_eq(mysql_connect_hosts(&dsn), cases[i].hosts, "%s", cases[i].text);
        dsn_done(&dsn);
    }
}

/* Unreachable hosts are named, one after the other, without the password. */
Test(mysql_connect, a_server_that_is_not_there)
{
    struct dsn dsn = parsed("host=/nonexistent/a,/nonexistent/b password=hunter2");
    const struct mysql_connect_options options = {
        .dsn = &dsn, .program_name = "test", .only_host = -1};
    struct error error;
    unsigned number = 0;
    int host = -1;
    cr_assert_null(mysql_connect_by_dsn(&options, &host, &number, &error));
    cr_expect_eq(host, 1);
    cr_expect_neq(number, 0);
    cr_expect_eq(error.class, ERROR_CONNECTION);
    cr_expect_not_null(strstr(error.text, "connecting to the database at /nonexistent/b: "), "%s",
                       error.text);
    cr_expect_null(strstr(error.text, "hunter2"));
    cr_expect_null(strchr(error.text, '\n'));
    dsn_done(&dsn);
}

static bool
gives_up(void *context)
{
    return --*(int *)context > 0;
}

Test(mysql_connect, who_gives_up_is_not_kept)
{
    int left = 2;
    int host = -1;
    struct dsn dsn = parsed("host=/nonexistent/a,/nonexistent/b,/nonexistent/c");
    const struct mysql_connect_options options = {.dsn = &dsn,
                                                  .program_name = "test",
                                                  .only_host = -1,
                                                  .goes_on = gives_up,
                                                  .context = &left};
    struct error error;
    cr_assert_null(mysql_connect_by_dsn(&options, &host, NULL, &error));
    cr_expect_eq(host, 0);
    dsn_done(&dsn);
}

Test(mysql_connect, one_host_of_several)
{
    int host = -1;
    struct dsn dsn = parsed("host=/nonexistent/a,/nonexistent/b");
    const struct mysql_connect_options options = {
        .dsn = &dsn, .program_name = "test", .only_host = 0};
    struct error error;
    cr_assert_null(mysql_connect_by_dsn(&options, &host, NULL, &error));
    cr_expect_eq(host, 0);
    cr_expect_not_null(strstr(error.text, "/nonexistent/a"), "%s", error.text);
    dsn_done(&dsn);
}
