#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/cli/table.h"

static const struct cli_column columns[] = {
    {"ID", true, 0}, {"NAME", false, 6}, {"LAST", false, 0}};

static void
expect(const char *const *cells, size_t count, size_t width, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    struct cli_table *const table = cli_table_new(columns, 3);
    for (size_t i = 0; i < count; i++) {
        cli_table_add(table, cells[i]);
    }
    cli_table_print(table, out, width);
    cli_table_free(table);
    cr_assert_eq(fclose(out), 0);
    cr_assert_str_eq(text, expected, "%s\nexpected:\n%s", text, expected);
    free(text);
}

Test(cli_table, columns_stand_below_each_other)
{
    static const char *const cells[] = {"1",         "größe", "x", "12345", NULL,
                                        "long text", "7",     "",  "z"};
    expect(cells, 9, 0,
           "   ID  NAME   LAST\n"
           "    1  größe  x\n"
           "12345  -      long text\n"
           "    7  -      z\n");
}

Test(cli_table, long_cells_are_cut)
{
    static const char *const cells[] = {"1", "ääääää", "a", "2", "äääääää", "b"};
    expect(cells, 6, 0,
           "ID  NAME    LAST\n"
           " 1  ääääää  a\n"
           " 2  äääää…  b\n");
}

Test(cli_table, the_last_column_fits_the_terminal)
{
    static const char *const cells[] = {"1", "a", "0123456789012345678901234567890"};
    expect(cells, 3, 41, "ID  NAME  LAST\n 1  a     0123456789012345678901234567890\n");
    expect(cells, 3, 40, "ID  NAME  LAST\n 1  a     01234567890123456789012345678…\n");
    expect(cells, 3, 12, "ID  NAME  LAST\n 1  a     0123456789012345678…\n");
}

Test(cli_table, cells_are_clean)
{
    static const char *const cells[] = {"1", "a\nb", "\x1b"};
    expect(cells, 3, 0, "ID  NAME  LAST\n 1  a\\nb  \\x1b\n");
}

Test(cli_table, many_rows)
{
    struct cli_table *const table = cli_table_new(columns, 3);
    for (int i = 0; i < 3000; i++) {
        cli_table_add(table, "x");
    }
    FILE *const out = tmpfile();
    cr_assert_not_null(out);
    cli_table_print(table, out, 0);
    cr_assert_eq(ftell(out),
                 (long)(sizeof("ID  NAME  LAST\n") - 1 + 1000 * (sizeof(" x  x     x\n") - 1)));
    cli_table_free(table);
    cr_assert_eq(fclose(out), 0);
}

/* A long list has its titles once, and columns become wider as needed. */
Test(cli_table, a_list_in_pieces_goes_on)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    struct cli_table *const table = cli_table_new(columns, 3);
    static const char *const cells[] = {"1", "a", "x", "1000", "b", "y", "2", "c", "z"};
    for (size_t i = 0; i < 9; i++) {
        cli_table_add(table, cells[i]);
        if (i % 3 == 2) {
            cli_table_print(table, out, 0);
        }
    }
    cli_table_free(table);
    cr_assert_eq(fclose(out), 0);
    cr_assert_str_eq(text, "ID  NAME  LAST\n"
                           " 1  a     x\n"
                           "1000  b     y\n"
                           "   2  c     z\n");
    free(text);
}
