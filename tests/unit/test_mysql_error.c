#include "relay/mysql/error.h"

#include <criterion/criterion.h>
#include <string.h>

static void
expect(unsigned code, enum error_class class, const char *words)
{
    struct error error;
    my_error_set(code, "first\nsecond", &error);
    cr_assert_eq(error.class, class, "%u", code);
    cr_assert(strstr(error.text, words) != NULL, "%u: %s", code, error.text);
    cr_assert(strstr(error.text, "first") != NULL && strchr(error.text, '\n') == NULL);
}

Test(mysql_error, says_what_to_do)
{
    expect(1142, ERROR_CONFIG, "a privilege is missing: `outbox-relay check` says which");
    expect(1146, ERROR_CONFIG, "run `outbox-relay init`");
    expect(1213, ERROR_TRANSIENT, "undone");
    expect(1969, ERROR_TRANSIENT, "longer than takeover");
    expect(3024, ERROR_TRANSIENT, "longer than takeover");
    expect(4031, ERROR_CONNECTION, "nothing was sent for longer than takeover");
    expect(1290, ERROR_CONNECTION, "takes no changes");
    expect(2013, ERROR_CONNECTION, "broke");
    expect(2055, ERROR_CONNECTION, "broke");
    expect(1644, ERROR_TRANSIENT, "the database refused");
}

Test(mysql_error, tells_what_ends_a_session)
{
    static const unsigned ends[] = {2006, 2013, 1053, 1927, 3169, 4031, 1158};
    static const unsigned others[] = {0, 1064, 1213, 1205, 1644, 1317};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        cr_assert(my_error_is_of_connection(ends[i]), "%u", ends[i]);
        cr_assert_not(my_error_may_be_of_row(ends[i], true), "%u", ends[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not(my_error_is_of_connection(others[i]), "%u", others[i]);
    }
#ifndef OUTBOX_LIBMYSQLCLIENT
    /* An error of MariaDB's library, which has more than MySQL's. */
    cr_assert(my_error_is_of_connection(5014));
#endif
}

/* A trigger may fail in ways that reading a row cannot. */
Test(mysql_error, tells_what_a_row_may_be_to_blame_for)
{
    static const unsigned moved[] = {1146, 1054, 1142, 1205};
    static const unsigned both[] = {1644, 1451, 1969, 1366};
    static const unsigned none[] = {1213, 1040, 1290, 1021};
    for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
        cr_assert(my_error_may_be_of_row(moved[i], true), "%u", moved[i]);
        cr_assert_not(my_error_may_be_of_row(moved[i], false), "%u", moved[i]);
    }
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        cr_assert(my_error_may_be_of_row(both[i], true), "%u", both[i]);
        cr_assert(my_error_may_be_of_row(both[i], false), "%u", both[i]);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        cr_assert_not(my_error_may_be_of_row(none[i], true), "%u", none[i]);
    }
}

Test(mysql_error, tells_what_another_transaction_is_to_blame_for)
{
    cr_assert(my_error_is_of_other_transaction(1213));
    cr_assert(my_error_is_of_other_transaction(1205));
    cr_assert_not(my_error_is_of_other_transaction(1062));
}
