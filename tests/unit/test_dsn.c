#include "base/dsn.h"

#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dsn_dialect.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct dsn
parsed(const char *text)
{
    struct dsn dsn;
    struct error error;
    cr_assert(dsn_parse(text, &dsn, &error), "%s: %s", text, error.text);
    return dsn;
}

static const char *
or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* libpq must understand every accepted string in the same way. */
Test(dsn, good_strings_are_read_as_libpq_reads_them)
{
    static const char *const texts[] = {
        "",
        "  ",
        "host=db dbname=shop user=relay",
        " host = db\tdbname\n=\nshop ",
        "password='with blank' user='it\\'s' dbname='a\\\\b'",
        "password=back\\ slash user=\\'x\\'",
        "password='' host=''dbname=x",
        "password=a=b@c/d",
        "port=5432,5433 host=a,b",
        "host=/var/run/postgresql port=",
        "host=db host=other",
        "sslmode=verify-full sslrootcert='/etc/ssl/my ca.pem' target_session_attrs=read-write",
        "options='-c search_path=other,public -c statement_timeout=5s'",
        "postgresql://",
        "postgres://",
        "postgresql:///shop",
        "postgresql://db",
        "postgresql://db/",
        "postgresql://db:5433/shop",
        "postgresql://relay@db/shop",
        "postgresql://relay:secret@db/shop",
        "postgresql://relay:p%2fq%40r%3fs%25@db/shop",
        "postgresql://relay:a:b?c#d[e]@db/shop",
        "postgresql://relay:@db/shop",
        "postgresql://:secret@db/shop",
        "postgresql://@db/shop",
        "postgresql://a:1,b,c:3/shop",
        "postgresql://[::1]:5433,[2001:db8::2]/shop",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/shop",
        "postgresql://db/a/b",
        "postgresql://db/shop?sslmode=require&connect_timeout=3",
        "postgresql://db/shop?user=relay@server&password=a%26b",
        "postgresql://db?dbname=shop",
        "postgresql:///shop?host=/tmp&ssl=true",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *words = NULL;
        struct dsn dsn = parsed(texts[i]);
        PQconninfoOption *const options = PQconninfoParse(texts[i], &words);
        cr_assert_not_null(options, "libpq does not take: %s: %s", texts[i], words);
        for (const PQconninfoOption *at = options; at->keyword != NULL; at++) {
            cr_assert_str_eq(or_empty(dsn_value(&dsn, at->keyword)), or_empty(at->val), "%s of: %s",
                             at->keyword, texts[i]);
        }
        PQconninfoFree(options);
        dsn_done(&dsn);
    }
}

/* Everything that libpq would refuse or misunderstand. The message says what is wrong, and shows nothing of the
 * string. */
Test(dsn, bad_strings_are_refused_without_quoting_them)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"hunter2", "expected a libpq connection string"},
        {"shop hunter2", "expected a libpq connection string"},
        {"password=a hunter2", "expected a libpq connection string"},
        {"password=a hunter2=b", "expected a libpq connection string"},
        {"password='hunter2", "expected a libpq connection string"},
        {"=hunter2", "expected a libpq connection string"},
        {"passwrd=hunter2", "did you mean \"password\"?"},
        {"sslmod=hunter2", "did you mean \"sslmode\"?"},
        {"Postgresql://u:hunter2@h/d", "expected a libpq connection string"},
        {"mysql://u:hunter2@h/d", "expected a libpq connection string"},
        {"sslmode=hunter2", "sslmode must be disable, allow, prefer, require, verify-ca or "
                            "verify-full"},
        {"sslmode=Require", "sslmode must be disable"},
        {"ssl_min_protocol_version=1.2", "ssl_min_protocol_version must be TLSv1, "},
        {"target_session_attrs=hunter2", "target_session_attrs must be any, "},
        {"channel_binding=yes", "channel_binding must be disable, prefer or require"},
        {"gssencmode=yes", "gssencmode must be disable, prefer or require"},
        {"connect_timeout=hunter2", "connect_timeout must be a whole number"},
        {"connect_timeout=10s", "connect_timeout must be a whole number"},
        {"port=hunter2", "a port must be a number from 1 to 65535"},
        {"port=0", "a port must be"},
        {"port=65536", "a port must be"},
        {"port=5432,x", "a port must be"},
        {"postgresql://u:hunter2@h:x/d", "a port must be"},
        {"postgresql://u:hunter2/b@h/d", "write / in user and password as %2f"},
        {"postgresql://u:a/hunter2@h/d", "write / in user and password as %2f"},
        {"postgresql://u:1/hunter2@h/d", "an '@' after the host"},
        {"postgresql://u:a@hunter2@h/d", "an '@' after the host"},
        {"postgresql://u:a@hunter2@h,i/d", "an '@' after the host"},
        {"postgresql://u:a@b/hunter2@h/d", "an '@' after the host"},
        {"postgresql://h:hunter2@h2:1/d@e", "an '@' after the host"},
        {"postgresql://u:1/a?hunter2@h/d", "expected a libpq connection string"},
        {"postgresql://u:1/a?x=hunter2@h/d", "expected a libpq connection string"},
        {"postgresql://h/d?user=a=hunter2", "write = in a value as %3d"},
        {"postgresql://h/d?passwrd=hunter2", "did you mean \"password\"?"},
        {"postgresql://h/d?ssl=hunter2", "ssl must be true"},
        {"postgresql://h/d?sslmode=hunter2", "sslmode must be"},
        {"postgresql://u:%hunter2@h/d", "a '%' must be followed by two hexadecimal digits"},
        {"postgresql://u:hunter2%00@h/d", "a '%' must be followed by two hexadecimal digits"},
        {"postgresql://u:hunter2%4@h/d", "a '%' must be followed by two hexadecimal digits"},
        {"postgresql://[hunter2/d", "a '[' needs its ']'"},
        {"postgresql://[::1]hunter2/d", "a '[' needs its ']'"},
        {"postgresql://[]/d", "a '[' needs its ']'"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error;
        cr_expect_not(dsn_check(cases[i].text, &error), "taken: %s", cases[i].text);
        cr_expect_eq(error.class, ERROR_CONFIG);
        cr_expect_not_null(strstr(error.text, cases[i].words), "%s: %s", cases[i].text, error.text);
        cr_expect_null(strstr(error.text, "hunter2"), "shown: %s", error.text);
    }
}

Test(dsn, those_of_mysql_are_written_alike)
{
    static const char *const texts[] = {
        "host=db,other port=3306,3307 dbname=shop user=relay password=it\\'s sslmode=require",
        "mysql://relay:it%27s@db:3306,other:3307/shop?sslmode=require",
        "mariadb://relay@db:3306,other:3307/shop?password=it%27s&ssl=true",
    };
    static const char *const names[] = {"host", "port", "dbname", "user", "sslmode"};
    static const char *const values[] = {"db,other", "3306,3307", "shop", "relay", "require"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct dsn dsn;
        struct error error;
        cr_assert(dsn_mysql_parse(texts[i], &dsn, &error), "%s: %s", texts[i], error.text);
        for (size_t j = 0; j < COUNT(names); j++) {
            cr_expect_str_eq(dsn_value(&dsn, names[j]), values[j], "%s of: %s", names[j], texts[i]);
        }
        dsn_done(&dsn);
    }
}

Test(dsn, bad_ones_of_mysql_are_refused_without_quoting_them)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"hunter2", "or \"mysql://relay@db/shop\""},
        {"postgresql://u:hunter2@h/d", "or \"mysql://relay@db/shop\""},
        {"passwrd=hunter2", "no such connection option for MariaDB and MySQL; did you mean "
                            "\"password\"?"},
        {"options='-c hunter2'", "expected a connection string"},
        {"sslmode=allow", "sslmode must be disable, prefer, require, verify-ca or verify-full"},
        {"sslmode=verify-ca password=hunter2", "sslmode=verify-ca needs sslrootcert"},
        {"mysql://u:hunter2@h/d?sslmode=verify-full", "sslmode=verify-full needs sslrootcert"},
        {"mysql://u:a/hunter2@h/d", "write / in user and password as %2f"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error;
        cr_expect_not(dsn_mysql_check(cases[i].text, &error), "taken: %s", cases[i].text);
        cr_expect_eq(error.class, ERROR_CONFIG);
        cr_expect_not_null(strstr(error.text, cases[i].words), "%s: %s", cases[i].text, error.text);
        cr_expect_null(strstr(error.text, "hunter2"), "shown: %s", error.text);
    }
}

Test(dsn, the_last_of_a_name_counts)
{
    struct dsn dsn = parsed("host=a user=u host=b user=");
    cr_assert_str_eq(dsn_value(&dsn, "host"), "b");
    cr_assert_null(dsn_value(&dsn, "user"));
    cr_assert_null(dsn_value(&dsn, "port"));
    dsn_done(&dsn);
    cr_assert_eq(dsn.count, 0);
}

/* Every string, cut at every place and with every byte replaced, gets a result. */
Test(dsn, no_string_reads_beyond_its_end)
{
    static const char *const texts[] = {
        "host='a b' password=x\\ y port=1,2 sslmode=prefer",
        "postgresql://u:p%41@[::1]:12,h:3/d%20b?sslmode=disable&user=a@b",
    };
    static const char bytes[] = "%@/?:[]',=\\& \xff";
    char text[100];
    unsigned taken = 0;
    for (size_t i = 0; i < COUNT(texts); i++) {
        for (size_t at = 0; at < strlen(texts[i]); at++) {
            (void)snprintf(text, sizeof(text), "%.*s", (int)at, texts[i]); /* fits */
            taken += dsn_check(text, NULL) ? 1 : 0;
            for (size_t b = 0; b < sizeof(bytes) - 1; b++) {
                (void)snprintf(text, sizeof(text), "%s", texts[i]); /* fits */
                text[at] = bytes[b];
                taken += dsn_check(text, NULL) ? 1 : 0;
            }
        }
    }
    cr_assert_gt(taken, 0);
}

/* With every character that either form has to escape. */
#define NEW_KEY "/etc/it's a \\ 100% key&=?.pem"

Test(dsn, one_more_parameter_counts)
{
    static const char *const texts[] = {"", "host=db sslkey=old", "postgresql://u@db/shop",
                                        "postgresql://u:a?b@db/shop",
                                        "postgresql://u@db/shop?sslkey=old&sslmode=require"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *const text = dsn_with(&dsn_libpq, texts[i], "sslkey", NEW_KEY);
        struct dsn dsn = parsed(text);
        PQconninfoOption *const options = PQconninfoParse(text, NULL);
        cr_assert_not_null(options, "libpq does not take: %s", text);
        for (const PQconninfoOption *at = options; at->keyword != NULL; at++) {
            cr_assert_str_eq(or_empty(dsn_value(&dsn, at->keyword)), or_empty(at->val));
        }
        cr_assert_str_eq(dsn_value(&dsn, "sslkey"), NEW_KEY);
        PQconninfoFree(options);
        dsn_done(&dsn);
        free(text);
    }
}

Test(dsn, one_more_parameter_of_mysql_counts)
{
    static const char *const texts[] = {"dbname=shop sslkey=old", "mysql://u:a?b@db/shop",
                                        "mariadb://u@db/shop?sslkey=old"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *const text = dsn_with(&dsn_mysql, texts[i], "sslkey", NEW_KEY);
        struct dsn dsn;
        struct error error;
        cr_assert(dsn_mysql_parse(text, &dsn, &error), "%s: %s", text, error.text);
        cr_assert_str_eq(dsn_value(&dsn, "dbname"), "shop");
        cr_assert_str_eq(dsn_value(&dsn, "sslkey"), NEW_KEY);
        dsn_done(&dsn);
        free(text);
    }
}

Test(dsn, files_are_looked_at)
{
    struct error error;
    char text[200];
    char key[] = "/tmp/test_dsn.XXXXXX";
    const int fd = mkstemp(key);
    cr_assert_geq(fd, 0);
    cr_assert_not(dsn_files_check("sslrootcert=/missing", &error));
    cr_assert_str_eq(error.text, "cannot use sslrootcert /missing: No such file or directory");
    cr_assert_not(dsn_files_check("postgresql://h/d?sslcert=/tmp", &error));
    cr_assert_str_eq(error.text, "cannot use sslcert /tmp: this is no regular file");
    cr_assert(dsn_files_check("sslrootcert=system sslkey=engine:key", &error), "%s", error.text);
    (void)snprintf(text, sizeof(text), "sslkey=%s sslcrl=%s", key, key); /* fits */
    cr_assert(dsn_files_check(text, &error), "%s", error.text);
    cr_assert_eq(fchmod(fd, 0644), 0);
    cr_assert_not(dsn_files_check(text, &error));
    cr_assert_not_null(strstr(error.text, "others may read it"), "%s", error.text);
    struct dsn dsn;
    cr_assert(dsn_mysql_parse(text, &dsn, &error), "%s", error.text);
    cr_assert(dsn_mysql_files_check(&dsn, &error), "%s",
              error.text); /* the library reads the file anyway */
    dsn_done(&dsn);
    cr_assert(dsn_mysql_parse("mysql://h/d?sslcert=/tmp", &dsn, &error), "%s", error.text);
    cr_assert_not(dsn_mysql_files_check(&dsn, &error));
    cr_assert_str_eq(error.text, "cannot use sslcert /tmp: this is no regular file");
    dsn_done(&dsn);
    cr_assert_eq(close(fd) + unlink(key), 0);
}
