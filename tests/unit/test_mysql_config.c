#include "relay/mysql/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "relay/config/secret.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(mysql_config, good_dsns)
{
    static const char *const texts[] = {
        "dbname=shop",
        "host=db port=3307 dbname=shop user=relay password='with blank'",
        "host=a,b port=3306 dbname=shop",
        "host=a,b port=3306,3307 dbname=shop",
        "host=/run/mysqld/mysqld.sock dbname=shop",
        "mysql://relay:p%40ss@db:3307/shop?sslmode=require",
        "mariadb://relay@a,b/shop?connect_timeout=3",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct error error;
        char *dsn = NULL;
        cr_assert(my_dsn_take(texts[i], "/etc", &dsn, &error), "%s: %s", texts[i], error.text);
        cr_assert_str_eq(dsn, texts[i]);
        config_secret_free(dsn);
    }
}

/* The messages say what to do, and show nothing of the dsn. */
Test(mysql_config, bad_dsns)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"host=hunter2", "dbname is missing"},
        {"mysql://u:hunter2@h", "dbname is missing"},
        {"postgresql://u:hunter2@h/d", "\"mysql://relay@db/shop\""},
        {"host=a,b port=1,2,3 dbname=hunter2", "there are 3 ports and 2 hosts"},
        {"port=1,2 dbname=hunter2", "there are 2 ports and 1 hosts"},
        {"dbname=d sslmode=verify-full", "needs sslrootcert"},
        {"dbname=d sslcert=none.pem", "cannot use sslcert /nowhere/none.pem: No such file"},
        {"dbname=d target_session_attrs=hunter2", "expected a connection string"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error;
        char *dsn = NULL;
        cr_expect_not(my_dsn_take(cases[i].text, "/nowhere", &dsn, &error), "taken: %s",
                      cases[i].text);
        cr_expect_eq(error.class, ERROR_CONFIG);
        cr_expect_not_null(strstr(error.text, cases[i].words), "%s: %s", cases[i].text, error.text);
        cr_expect_null(strstr(error.text, "hunter2"), "shown: %s", error.text);
    }
}

static bool
is_one_place(const char *a, const char *b)
{
    char *const place_a = my_dsn_place(a);
    char *const place_b = my_dsn_place(b);
    const bool one = strcmp(place_a, place_b) == 0;
    memory_free(place_a);
    memory_free(place_b);
    return one;
}

Test(mysql_config, two_dsns_of_one_outbox)
{
    cr_assert(is_one_place("host=db dbname=shop user=a password=b", "mariadb://c:d@db:3306/shop"));
    cr_assert_not(is_one_place("host=db dbname=shop", "host=db dbname=Shop"));
    cr_assert_not(is_one_place("host=db dbname=shop", "host=db2 dbname=shop"));
    cr_assert_not(is_one_place("host=db dbname=shop", "host=db dbname=shop port=3307"));
}

Test(mysql_config, a_password_is_seen)
{
    cr_assert(my_dsn_has_password("dbname=shop password=x"));
    cr_assert(my_dsn_has_password("mysql://a:b@db/shop"));
    cr_assert_not(my_dsn_has_password("mysql://a@db/shop"));
    cr_assert_not(my_dsn_has_password("dbname=shop password="));
}

static void
expect_advice(const char *text, const char *warning, const char *advice)
{
    char *const dsn = strdup(text);
    const struct source_config source = {.name = strdup("s"), .dsn = dsn};
    struct config *const config = memory_array(1, sizeof(*config));
    my_dsn_advise(&source, &config->warnings, &config->advice);
    cr_expect_eq(config->warnings.count, warning == NULL ? 0 : 1, "%s", text);
    cr_expect_eq(config->advice.count, advice == NULL ? 0 : 1, "%s", text);
    if (warning != NULL && config->warnings.count == 1) {
        cr_expect_not_null(strstr(config->warnings.texts[0], warning), "%s",
                           config->warnings.texts[0]);
    }
    if (advice != NULL && config->advice.count == 1) {
        cr_expect_not_null(strstr(config->advice.texts[0], advice), "%s", config->advice.texts[0]);
    }
    config_free(config);
    free(source.name);
    free(dsn);
}

/* Here sslrootcert alone verifies nobody, unlike in libpq. */
Test(mysql_config, what_is_not_as_safe_as_it_could_be)
{
    expect_advice("dbname=d", NULL, NULL);
    expect_advice("host=localhost dbname=d sslmode=disable", NULL, NULL);
    expect_advice("host=db dbname=d", NULL, "sslmode=prefer (the default) to db, which is not");
    expect_advice("host=localhost,db dbname=d sslmode=disable", NULL, "sslmode=disable to db,");
    expect_advice("host=db dbname=d sslmode=require", NULL, "sslmode=require verifies nobody");
    expect_advice("host=db dbname=d sslmode=require sslrootcert=/ca", "sslmode=require: nobody",
                  NULL);
    expect_advice("host=db dbname=d sslrootcert=/ca", "sslmode=prefer (which nobody set)", NULL);
    expect_advice("host=db dbname=d sslmode=verify-full sslrootcert=/ca", NULL, NULL);
}

Test(mysql_config, a_key_that_others_may_read)
{
    char key[] = "/tmp/test_mysql_config.XXXXXX";
    char text[100];
    const int fd = mkstemp(key);
    cr_assert_geq(fd, 0);
    (void)snprintf(text, sizeof(text), "dbname=d sslkey=%s", key); /* fits */
    expect_advice(text, NULL, NULL);
    cr_assert_eq(fchmod(fd, 0644), 0);
    expect_advice(text, "the key file", NULL);
    cr_assert_eq(close(fd) + unlink(key), 0);
}
