#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/config/reference.h"
#include "relay/kinds/kinds.h"

static char *
read_all(FILE *file, size_t *ret_size)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const memory = open_memstream(&text, &size);
    cr_assert_not_null(memory);
    for (int c; (c = fgetc(file)) != EOF;) {
        cr_assert_neq(fputc(c, memory), EOF);
    }
    cr_assert_eq(fclose(memory), 0);
    *ret_size = size;
    return text;
}

/* The committed file must be what the table gives. If this fails: outbox-relay config-reference >
 * docs/CONFIGURATION.md */
Test(config_reference, docs_are_up_to_date)
{
    char *made = NULL;
    size_t made_size = 0;
    FILE *const memory = open_memstream(&made, &made_size);
    cr_assert_not_null(memory);
    config_reference_print(memory, database_kinds);
    cr_assert_eq(fclose(memory), 0);
    FILE *const file = fopen(SOURCE_ROOT "/docs/CONFIGURATION.md", "re");
    cr_assert_not_null(file);
    size_t size = 0;
    char *const committed = read_all(file, &size);
    cr_assert_eq(fclose(file), 0);
    cr_assert_str_eq(committed, made, "run: outbox-relay config-reference > docs/CONFIGURATION.md");
    free(committed);
    free(made);
}
