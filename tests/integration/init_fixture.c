#include "tests/integration/init_fixture.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/init_fixture_private.h"

struct db *init_db;

static const struct init_kind *
kind(void)
{
    if (!db_is_mysql()) {
        return &init_postgresql;
    }
    return strstr(db_text(init_db, "select version()"), "MariaDB") != NULL ? &init_mariadb
                                                                           : &init_mysql_server;
}

const char *
init_words(enum init_words which)
{
    return kind()->words[which];
}

void
init_run_printed(const char *sql)
{
    kind()->run_printed(sql);
}

static void
configure(const char *more, const char *settings)
{
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = %s broker = main dsn = \"%s%s\" %s }\n",
              db_kind(), db_dsn(), more, settings);
}

void
init_configure(const char *settings)
{
    configure("", settings);
}

void
init_configure_as(const char *account, const char *settings)
{
    char more[100];
    (void)snprintf(more, sizeof(more), " user=%s password=pw", account); /* fits */
    configure(more, settings);
}

void
init_set_up(void)
{
    cli_enter();
    init_db = db_create();
    init_configure("mode = poll");
}

void
init_tear_down(void)
{
    db_drop(init_db);
    cli_leave();
}

void
init_expect(int status, const char *format, ...)
{
    char expected[8192];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(expected, sizeof(expected), format, arguments); /* fits */
    va_end(arguments);
    const int got = cli("init -c relay.conf");
    cr_assert_str_eq(cli_stdout(), expected, "expected:\n%s\ngot:\n%s", expected, cli_stdout());
    cr_assert_str_empty(cli_stderr());
    cr_assert_eq(got, status);
}
