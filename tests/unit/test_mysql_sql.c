#include "relay/mysql/sql.h"

#include <criterion/criterion.h>
#include <string.h>

static struct buffer buffer;

static void
create(void)
{
    buffer_init(&buffer, 64, 1000);
}

static void
drop(void)
{
    buffer_done(&buffer);
}

TestSuite(mysql_sql, .init = create, .fini = drop);

static void
expect(const char *sql, const struct my_parameters *parameters, const char *expected)
{
    cr_assert(my_sql_put(&buffer, sql, parameters));
    cr_assert_eq(buffer_size(&buffer), strlen(expected), "%.*s", (int)buffer_size(&buffer),
                 (const char *)buffer_front(&buffer));
    cr_assert_arr_eq(buffer_front(&buffer), expected, strlen(expected));
}

Test(mysql_sql, puts_values_in_the_place_of_names)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "id", INT64_MIN);
    my_parameters_int(&parameters, "ids", 7);
    my_parameters_text(&parameters, "name", "o'r\\der é");
    my_parameters_text(&parameters, "nothing", NULL);
    my_parameters_null(&parameters, "neither");
    my_parameters_double(&parameters, "rate", 0.5);
    expect(
        "-- @id is no name here\n-- nor here\nselect @id, @@session.x, @ids,@name, @nothing "
        "@neither, @rate\n",
        &parameters,
        "select -9223372036854775808, @@session.x, 7,_utf8mb4 x'6f27725c64657220c3a9', null null, "
        "5.00000000000000000e-01\n");
}

Test(mysql_sql, a_list_has_commas_and_an_empty_one_has_no_id)
{
    static const int64_t ids[] = {1, -20, INT64_MAX};
    struct my_parameters parameters = {.count = 0};
    my_parameters_ints(&parameters, "ids", ids, 3);
    my_parameters_ints(&parameters, "none", ids, 0);
    expect("in (@ids) in (@none)", &parameters,
           "in (1,-20,9223372036854775807) in (18446744073709551615)");
}

Test(mysql_sql, edges_are_where_runs_begin_and_where_they_are_over)
{
    static const int64_t ids[] = {INT64_MIN, -1, 0, 0, 1, 4, 6, 7, INT64_MAX};
    struct my_parameters parameters = {.count = 0};
    my_parameters_edges(&parameters, "all", ids, 9);
    my_parameters_edges(&parameters, "one", ids + 5, 1);
    my_parameters_edges(&parameters, "run", ids + 1, 4);
    my_parameters_edges(&parameters, "none", ids, 0);
    expect("(@all) (@one) (@run) (@none)", &parameters,
           "(-9223372036854775808,-9223372036854775807,-1,2,4,5,6,8,"
           "9223372036854775807,9223372036854775808) (4,5) (-1,2) (18446744073709551615)");
}

Test(mysql_sql, what_is_not_utf8_becomes_ascii)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "text", "a\xff\xc3\xa9");
    expect("@text", &parameters, "_utf8mb4 x'613f3f3f'");
}

Test(mysql_sql, replaces_what_was_there_and_says_when_it_is_too_long)
{
    static int64_t ids[100];
    struct my_parameters parameters = {.count = 0};
    expect("a", &parameters, "a");
    expect("b", &parameters, "b");
    my_parameters_ints(&parameters, "ids", ids, 100);
    cr_assert_not(my_sql_put(&buffer, "@ids", &parameters));
}

Test(mysql_sql, ids_are_a_json_list)
{
    static const int64_t ids[] = {1, -20, INT64_MAX};
    struct my_parameters parameters = {.count = 0};
    my_parameters_ids(&parameters, "ids", ids, 3);
    my_parameters_ids(&parameters, "none", ids, 0);
    my_parameters_plain(&parameters, "asked", "[[1,\"dead\"]]");
    expect("f(@ids, '$') @none @asked", &parameters,
           "f('[1,-20,9223372036854775807]', '$') '[]' '[[1,\"dead\"]]'");
}

Test(mysql_sql, a_part_takes_the_place_of_a_comment)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_sql(&parameters, "names", ", `a@id`");
    my_parameters_sql(&parameters, "none", "");
    my_parameters_int(&parameters, "id", 7);
    expect("(a /*@names*/) @id /* b */ /*@none*/c", &parameters, "(a , `a@id`) 7 /* b */ c");
}
