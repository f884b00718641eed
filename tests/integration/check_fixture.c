#include "tests/integration/check_fixture.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/check_fixture_private.h"
#include "tests/integration/cli_fixture.h"

#define TEXT_BYTES 8192

struct check_scene check_scene;

static const struct check_kind *
kind(void)
{
    return db_choose(&check_postgres_kind, &check_mysql_kind);
}

const char *
check_words(enum check_words which)
{
    return kind()->words[which];
}

static const char *
environment(const char *name)
{
    const char *const value = getenv(name);
    cr_assert_not_null(
        value, "%s is not set: this test needs a RabbitMQ server; see tests/services", name);
    return value;
}

/* With the role for each %1$s. */
static void
exec_for_role(const char *format)
{
    char sql[600];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(sql, sizeof(sql), format, check_scene.role); /* fits */
#pragma GCC diagnostic pop
    if (sql[0] != '\0') {
        db_exec(check_scene.db, sql);
    }
}

void
check_configure(const char *settings)
{
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = %s broker = main dsn = \"%s user=%s password=pw\"\n"
              "  %s }\n",
              environment("OUTBOX_TEST_AMQP_URI"), db_kind(), db_dsn(), check_scene.role, settings);
}

void
check_set_up(void)
{
    cli_enter();
    check_scene.db = db_create();
    (void)snprintf(check_scene.role, sizeof(check_scene.role), "check_%ld",
                   (long)getpid()); /* fits */
    db_create_user(check_scene.db, check_scene.role, "pw");
    exec_for_role(kind()->close);
    db_load_outbox(check_scene.db);
    db_grant_relay(check_scene.db, check_scene.role);
    exec_for_role(kind()->see);
    check_configure(CHECK_POLL);
}

void
check_tear_down(void)
{
    db_drop_user(check_scene.db, check_scene.role);
    db_drop(check_scene.db);
    cli_leave();
}

void
check_let_read_log(void)
{
    db_load_log(check_scene.db);
    exec_for_role(kind()->read_log);
}

/* ---- what it says --------------------------------------------------------------------------------------- */

/* Puts the role in place of each ROLE. */
static void
name_role(char *text, size_t size)
{
    char *found;
    while ((found = strstr(text, "ROLE")) != NULL) {
        char rest[TEXT_BYTES];
        (void)snprintf(rest, sizeof(rest), "%s", found + strlen("ROLE")); /* fits */
        (void)snprintf(found, size - (size_t)(found - text), "%s%s", check_scene.role,
                       rest); /* fits */
    }
}

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Adds to `text` what stands at `line`; the next one, or NULL behind the last. */
static const char *
add_line(char *text, size_t size, const char *line)
{
    const char *const end = strchr(line, '\n');
    cr_assert_not_null(end);
    const size_t used = strlen(text);
    (void)snprintf(text + used, size - used, "%.*s", (int)(end + 1 - line), line); /* fits */
    return end[1] == '\0' ? NULL : end + 1;
}

/* The lines that are of "ok", or the others. */
static void
select_lines(bool ok, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    for (const char *line = cli_stdout(); line != NULL;) {
        char ignored[TEXT_BYTES] = "";
        line = add_line(begins(line, "ok ") == ok ? ret_text : ignored, size, line);
    }
}

static size_t
count_problems(const char *lines)
{
    size_t count = 0;
    for (const char *at = strstr(lines, "problem  "); at != NULL;
         at = strstr(at + 1, "problem  ")) {
        count++;
    }
    return count;
}

static void
add_end(char *text, size_t size)
{
    const size_t used = strlen(text);
    const size_t problems = count_problems(text);
    if (problems == 0) {
        (void)snprintf(text + used, size - used, "no problems\n"); /* fits */
    } else {
        (void)snprintf(text + used, size - used, "%zu problem%s\n", problems,
                       problems == 1 ? "" : "s"); /* fits */
    }
}

static void
expect_connected(void)
{
    char line[300];
    (void)snprintf(line, sizeof(line), CHECK_OK "connected to database \"%s\" as \"%s",
                   db_database(), check_scene.role); /* fits */
    cr_assert(begins(cli_stdout(), line), "expected: %s\ngot:\n%s", line, cli_stdout());
    (void)snprintf(line, sizeof(line),
                   "\nok       broker \"main\": connected to %s:%s, virtual host \"/\", without "
                   "TLS\n",
                   environment("OUTBOX_TEST_AMQP_HOST"),
                   environment("OUTBOX_TEST_AMQP_PORT")); /* fits */
    cr_assert_not_null(strstr(cli_stdout(), line), "expected: %s\ngot:\n%s", line, cli_stdout());
}

void
check_expect(const char *format, ...)
{
    char expected[TEXT_BYTES];
    char said[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(expected, sizeof(expected), format, arguments); /* fits */
    va_end(arguments);
    name_role(expected, sizeof(expected));
    add_end(expected, sizeof(expected));
    const int status = cli("check -c relay.conf");
    expect_connected();
    select_lines(false, said, sizeof(said));
    cr_assert_str_eq(said, expected, "expected:\n%s\ngot:\n%s", expected, cli_stdout());
    cr_assert_str_empty(cli_stderr());
    cr_assert_eq(status, count_problems(expected) > 0 ? 1 : 0);
}

void
check_expect_good(void)
{
    check_expect("%s", "");
}

void
check_expect_ok(const char *lines)
{
    char expected[TEXT_BYTES];
    (void)snprintf(expected, sizeof(expected), "\n%s", lines); /* fits */
    name_role(expected, sizeof(expected));
    cr_assert_not_null(strstr(cli_stdout(), expected), "expected:%s\ngot:\n%s", expected,
                       cli_stdout());
}
