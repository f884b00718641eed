#include <criterion/criterion.h>

#include "base/net/local.h"

Test(local, a_list_of_this_machine_alone)
{
    static const char *const lists[] = {
        NULL,           "",
        "localhost",    "LocalHost",
        "db.localhost", "127.0.0.1,127.255.255.255",
        "::1",          "/var/run/postgresql",
        "@abstract",    "localhost,,/tmp",
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char host[LOCAL_HOST_BYTES] = "";
        cr_expect_not(local_find_remote(lists[i], host), "%s: %s", lists[i], host);
    }
}

Test(local, the_first_that_is_another)
{
    static const struct {
        const char *list;
        const char *host;
    } cases[] = {
        {"db", "db"},
        {"localhost,db1,db2", "db1"},
        {"/tmp,10.0.0.1", "10.0.0.1"},
        {"128.0.0.1", "128.0.0.1"},
        {"::2", "::2"},
        {"localhost.example", "localhost.example"},
        {"notlocalhost", "notlocalhost"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char host[LOCAL_HOST_BYTES] = "";
        cr_expect(local_find_remote(cases[i].list, host), "%s", cases[i].list);
        cr_expect_str_eq(host, cases[i].host, "%s", cases[i].list);
    }
}
