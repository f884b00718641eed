#include <criterion/criterion.h>

#include "relay/ports/admin.h"

Test(admin, a_message_is_named_by_the_id_of_its_row)
{
    struct admin_name name;
    cr_assert(admin_name_parse("0", &name));
    cr_assert_not(name.is_uuid);
    cr_assert(admin_name_parse("9223372036854775807", &name));
    cr_assert_str_eq(name.text, "9223372036854775807");
}

Test(admin, a_message_is_named_by_its_message_id)
{
    struct admin_name name;
    cr_assert(admin_name_parse("0190A5C8-1111-7222-8333-444455556666", &name));
    cr_assert(name.is_uuid);
    cr_assert_str_eq(name.uuid, "0190a5c8-1111-7222-8333-444455556666");
}

Test(admin, other_names_are_none)
{
    static const char *const bad[] = {
        "",
        "-1",
        "+1",
        " 1",
        "1.0",
        "9223372036854775808",
        "abc",
        "0190a5c8111172228333444455556666",
        "0190a5c8-1111-7222-8333-44445555666x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct admin_name name = {.text = "before"};
        cr_assert_not(admin_name_parse(bad[i], &name), "\"%s\"", bad[i]);
        cr_assert_str_eq(name.text, "before", "touched the result");
    }
}

Test(admin, counts_add_up)
{
    const struct admin_counts counts = {1, 20, 300, 4000};
    cr_assert_eq(admin_counts_sum(&counts), 4321);
}

static int freed;

static void
count_free(void *owner)
{
    freed += *(int *)owner;
}

Test(admin, rows_are_freed_once)
{
    int owner = 1;
    struct admin_rows rows = {&owner, count_free};
    admin_rows_free(&rows);
    admin_rows_free(&rows);
    cr_assert_eq(freed, 1);
}
