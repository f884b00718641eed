#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "consumers/mysql_statement.h"

static void
expect_part(const char *part, size_t length, const char *wanted)
{
    cr_assert_eq(length, strlen(wanted), "%.*s", (int)length, part);
    cr_assert_eq(memcmp(part, wanted, length), 0, "%.*s", (int)length, part);
}

static void
expect_parts(const char *sql, const char *head, const char *item, const char *tail)
{
    const struct mysql_parts parts = mysql_statement_parts(sql);
    expect_part(parts.head, parts.head_length, head);
    expect_part(parts.item, parts.item_length, item);
    expect_part(parts.tail, parts.tail_length, tail);
}

Test(mysql_statement, the_line_in_parentheses_is_for_each_message)
{
    expect_parts("-- (why)\ninsert into t (a)\nvalues\n(@a)\n",
                 "-- (why)\ninsert into t (a)\nvalues\n", "(@a)", "\n");
    expect_parts("(select 1)\nlimit 1\n", "", "(select 1)", "\nlimit 1\n");
    expect_parts("-- why\n(@a)", "-- why\n", "(@a)", "");
    expect_parts("select (1)\n", "select (1)\n", "", "");
}

static const char *
put(const char *sql, const struct mysql_value *values, size_t count)
{
    static char text[1024];
    *mysql_statement_put(text, sql, strlen(sql), values, count) = '\0';
    return text;
}

Test(mysql_statement, values_take_the_place_of_their_names)
{
    const struct mysql_value values[] = {
        {"@bytes", "\0'\\\xff", 4, false}, {"@none", "", 0, false}, {"1000", "17", 2, true}};
    cr_assert_str_eq(put("a @bytes, @none limit 1000", values, 3), "a x'00275cff', x'' limit 17");
    cr_assert_str_eq(put("@bytes@bytes", values, 1), "x'00275cff'x'00275cff'");
    cr_assert_str_eq(put("@byte 100", values, 3), "@byte 100", "part of a name at the end");
    cr_assert_str_eq(put("", values, 3), "");
    cr_assert_eq(strlen("x'00275cff'"), mysql_statement_literal_max(4));
}
