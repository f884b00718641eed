#include "relay/config/password.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "relay/config/secret.h"

TestSuite(config_password, .timeout = 120);

static char *
get(const char *command, uint64_t timeout_us, struct error *ret_error)
{
    char line[200];
    char *secret;
    (void)snprintf(line, sizeof(line), "%s", command);
    const struct config_password config = {.command = line, .timeout_us = timeout_us};
    return password_get(&config, &secret, ret_error) ? secret : NULL;
}

static void
expect_password(const char *command, const char *password)
{
    struct error error;
    char *const secret = get(command, 100 * CLOCK_S_US, &error);
    cr_assert_not_null(secret, "%s: %s", command, error.text);
    cr_assert_str_eq(secret, password);
    config_secret_free(secret);
}

static void
expect_refusal(const char *command, const char *words)
{
    struct error error;
    cr_assert_null(get(command, 100 * CLOCK_S_US, &error), "%s", command);
    cr_assert_str_eq(error.text, words, "%s: %s", command, error.text);
}

Test(config_password, none_is_no_password)
{
    struct error error;
    char *secret = (char *)1;
    cr_assert(password_get(&(struct config_password){0}, &secret, &error));
    cr_assert_null(secret);
}

Test(config_password, the_output_of_a_command)
{
    expect_password("echo hunter2", "hunter2");
    expect_password("printf hunter2", "hunter2");
    expect_password("printf 'hunter2\\r\\n'", "hunter2");
    expect_password("printf 'two\\nlines\\n\\n'", "two\nlines\n");
    expect_password("printf '\\377\\001\\n'", "\377\001");
    expect_password("a=hunter2; echo \"$a\" | tr a-z A-Z", "HUNTER2");
}

Test(config_password, an_output_that_is_no_password)
{
    expect_refusal("true", "password_command: it wrote nothing");
    expect_refusal("echo", "password_command: it wrote nothing");
    expect_refusal("printf 'a\\0b'", "password_command: a password has no zero byte");
    expect_refusal("head -c 4097 /dev/zero | tr '\\0' x",
                   "password_command: it wrote more than 4096 bytes");
    expect_refusal("echo hunter2; exit 1", "password_command: it ended with exit status 1");
}

/* Promise: who asks need not wait, and who does not wait any more ends the command. */
Test(config_password, it_is_asked_for_without_blocking)
{
    char line[] = "exec sleep 1000";
    const struct config_password config = {.command = line, .timeout_us = 900 * CLOCK_S_US};
    struct password password = {0};
    struct error error;
    char *secret;
    cr_assert_eq(password_fd(&password), -1);
    cr_assert_eq(password_begin(&password, &config, &secret, &error), PASSWORD_WAITS);
    struct pollfd wait = {.fd = password_fd(&password), .events = POLLIN};
    cr_assert_eq(poll(&wait, 1, 0), 0);
    cr_assert_eq(password_look(&password, &secret, &error), PASSWORD_WAITS);
    password_cancel(&password);
    cr_assert_eq(poll(&wait, 1, 100000), 1);
    cr_assert_eq(password_look(&password, &secret, &error), PASSWORD_FAILED);
    cr_assert_eq(password_fd(&password), -1);
    cr_assert_eq(password_begin(&password, &config, &secret, &error), PASSWORD_WAITS);
    password_end(&password);
    cr_assert_eq(password_fd(&password), -1);
    password_end(&password);
    password_cancel(&password);
}
