#include "tests/integration/report_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char lines[65536];

static void
tell(void *context, const char *word, const char *words)
{
    const size_t used = strlen(lines);
    (void)context;
    (void)snprintf(lines + used, sizeof(lines) - used, "%-8s %s\n", word, words); /* fits */
}

struct report
report_fixture_begin(void)
{
    lines[0] = '\0';
    return (struct report){.tell = tell};
}

const char *
report_fixture_lines(void)
{
    return lines;
}

void
report_fixture_expect(const char *word, const char *words)
{
    const char *at = lines;
    while ((at = strstr(at, words)) != NULL) {
        const char *line = at;
        while (line > lines && line[-1] != '\n') {
            line--;
        }
        if (strncmp(line, word, strlen(word)) == 0) {
            return;
        }
        at++;
    }
    cr_assert_fail("no %s with \"%s\" in:\n%s", word, words, lines);
}

void
report_fixture_expect_none(const char *words)
{
    cr_assert_null(strstr(lines, words), "\"%s\" in:\n%s", words, lines);
}
