#include <criterion/criterion.h>
#include <string.h>

#include "relay/postgres/source_private.h"

static struct error
error_of(const char *message)
{
    struct error error;
    pg_error_from_message(message, "shop", &error);
    return error;
}

Test(postgres_source_error, a_refused_password_is_for_the_operator)
{
    const struct error error =
        error_of("connection to server at \"db\" (192.0.2.1), port 5432 failed: FATAL:  28P01: "
                 "password authentication failed for user \"shop\"\nLOCATION:  auth_failed, "
                 "auth.c:336\n");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_str_eq(error.text, "the database refused the password of user \"shop\" (28P01)");
}

Test(postgres_source_error, the_severity_may_be_in_any_language)
{
    const struct error error =
        error_of("connection to server on socket \"/s\" failed: ЧТО-ТО:  3D000: база данных\n");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_str_eq(error.text, "the database does not exist (3D000: база данных)");
}

Test(postgres_source_error, an_unknown_role_is_named)
{
    const struct error error =
        error_of("connection to server at \"db\", port 5432 failed: FATAL:  28000: role \"shop\" "
                 "does not exist\n");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "user \"shop\" (28000: role"), "%s", error.text);
}

Test(postgres_source_error, a_server_that_starts_is_only_waited_for)
{
    const struct error error =
        error_of("connection to server at \"db\", port 5432 failed: FATAL:  57P03: the database "
                 "system is starting up\n");
    cr_assert_eq(error.class, ERROR_CONNECTION);
}

Test(postgres_source_error, words_without_a_code_are_passed_on_as_one_line)
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

/* A standby, or a role that may only read, as reported by libpq and by the server. */
Test(postgres_source_error, a_database_that_takes_no_changes_is_named)
{
    const struct error session = error_of("connection to server at \"db\", port 5432 failed: "
                                          "session is read-only\n");
    const struct error statement =
        error_of("x: ERROR:  25006: cannot execute DELETE in a read-only transaction\n");
    cr_assert_eq(session.class, ERROR_CONNECTION, "another host may become the primary");
    cr_assert_not_null(strstr(session.text, "default_transaction_read_only"), "%s", session.text);
    cr_assert_not_null(strstr(statement.text, "default_transaction_read_only"), "%s",
                       statement.text);
}

/* A prepared statement that is missing, or exists already, in the session that a pool gave us. */
Test(postgres_source_error, a_session_that_is_not_ours_is_a_pools)
{
    static const char *const words[] = {
        "x: ERROR:  26000: prepared statement \"settle\" does not exist\n",
        "x: ERROR:  42P05: prepared statement \"own\" already exists\n"};
    for (size_t i = 0; i < 2; i++) {
        const struct error error = error_of(words[i]);
        cr_assert_eq(error.class, ERROR_CONFIG);
        cr_assert_not_null(strstr(error.text, "a connection pool in transaction mode stands"), "%s",
                           error.text);
    }
}
