#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/cli/text.h"

Test(cli_text, columns_are_characters)
{
    cr_assert_eq(cli_text_columns(""), 0);
    cr_assert_eq(cli_text_columns("abc"), 3);
    cr_assert_eq(cli_text_columns("größe…"), 6);
}

Test(cli_text, dumps)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    cli_text_dump(out, (const uint8_t *)"0123456789abcdef\x00~\x7f", 19);
    cr_assert_eq(fclose(out), 0);
    cr_assert_str_eq(
        text, "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|\n"
              "00000010  00 7e 7f                                         |.~.|\n");
    free(text);
}

/* Promise: a server's message cannot forge lines of `check` and `init`, nor move the cursor. */
Test(cli_text, words_of_a_server_stay_words)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    cli_text_line(out, "problem", "broker \"main\": no\nok       forged\x1b[2J");
    cr_assert_eq(fclose(out), 0);
    cr_assert_str_eq(text, "problem  broker \"main\": no\\nok       forged\\x1b[2J\n");
    free(text);
}
