#include <criterion/criterion.h>
#include <string.h>

#include "relay/source_postgres_private.h"

static struct error
error_of(const char *message)
{
    struct error error;
    pg_error_from_message(message, "shop", &error);
    return error;
}

Test(source_postgres_error, a_refused_password_is_for_the_operator)
{
    const struct error error =
        error_of("connection to server at \"db\" (192.0.2.1), port 5432 failed: FATAL:  28P01: "
                 "password authentication failed for user \"shop\"\nLOCATION:  auth_failed, "
                 "auth.c:336\n");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_str_eq(error.text, "the database refused the password of user \"shop\" (28P01)");
}

Test(source_postgres_error, the_severity_may_be_in_any_language)
{
    const struct error error =
        error_of("connection to server on socket \"/s\" failed: ЧТО-ТО:  3D000: база данных\n");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_str_eq(error.text, "the database does not exist (3D000: база данных)");
}

Test(source_postgres_error, an_unknown_role_is_named)
{
    const struct error error =
        error_of("connection to server at \"db\", port 5432 failed: FATAL:  28000: role \"shop\" "
                 "does not exist\n");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "user \"shop\" (28000: role"), "%s", error.text);
}

Test(source_postgres_error, a_server_that_starts_is_only_waited_for)
{
    const struct error error =
        error_of("connection to server at \"db\", port 5432 failed: FATAL:  57P03: the database "
                 "system is starting up\n");
    cr_assert_eq(error.class, ERROR_CONNECTION);
}

Test(source_postgres_error, words_without_a_code_are_passed_on_as_one_line)
{
    const struct error error =
        error_of("connection to server at \"db\", port 5432 failed: Connection refused\n\tIs the "
                 "server running?\n");
    cr_assert_eq(error.class, ERROR_CONNECTION);
    cr_assert_str_eq(error.text,
                     "connection to server at \"db\", port 5432 failed: Connection refused");
    cr_assert_str_eq(error_of("").text, "");
    cr_assert_str_eq(error_of("a:  28P0").text, "a:  28P0");
    cr_assert_str_eq(error_of("a:  ").text, "a:  ");
}
