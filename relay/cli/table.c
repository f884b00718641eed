#include "relay/cli/table.h"

#include <assert.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/memory.h"
#include "relay/api/text.h"
#include "relay/cli/text.h"

#define GAP 2
#define LAST_COLUMN_MIN 20 /* on a terminal that is too narrow, lines wrap */
#define COLUMNS_MAX 16

struct cli_table {
    const struct cli_column *columns;
    size_t count;
    char **cells;
    size_t cell_count;
    size_t cell_capacity;
    size_t widest[COLUMNS_MAX]; /* of each column, so far */
    bool headed;
};

struct cli_table *
cli_table_new(const struct cli_column *columns, size_t count)
{
    assert(count > 0 && count <= COLUMNS_MAX);
    struct cli_table *const table = memory_array(1, sizeof(*table));
    table->columns = columns;
    table->count = count;
    return table;
}

static void
drop_cells(struct cli_table *table)
{
    for (size_t i = 0; i < table->cell_count; i++) {
        memory_free(table->cells[i]);
    }
    table->cell_count = 0;
}

void
cli_table_free(struct cli_table *table)
{
    drop_cells(table);
    memory_free(table->cells);
    memory_free(table);
}

static void
grow(struct cli_table *table)
{
    const size_t capacity = table->cell_capacity == 0 ? 64 : 2 * table->cell_capacity;
    char **const cells = memory_array(capacity, sizeof(*cells));
    for (size_t i = 0; i < table->cell_count; i++) {
        cells[i] = table->cells[i];
    }
    memory_free(table->cells);
    table->cells = cells;
    table->cell_capacity = capacity;
}

void
cli_table_add(struct cli_table *table, const char *text)
{
    if (table->cell_count == table->cell_capacity) {
        grow(table);
    }
    table->cells[table->cell_count++] = api_text_clean(text == NULL || *text == '\0' ? "-" : text);
}

static void
pad(FILE *out, size_t columns)
{
    (void)fprintf(out, "%*s", (int)columns, ""); /* the caller looks at the stream */
}

/* Prints as many characters as fit; the last one is "…" if the text is cut. */
static void
print_cut(FILE *out, const char *text, size_t columns)
{
    const bool cut = cli_text_columns(text) > columns;
    size_t left = cut ? columns - 1 : columns;
    const char *end = text;
    while (*end != '\0' && (left > 0 || ((unsigned char)*end & 0xc0) == 0x80)) {
        left -= ((unsigned char)*end & 0xc0) != 0x80;
        end++;
    }
    (void)fprintf(out, "%.*s%s", (int)(end - text), text, cut ? "…" : ""); /* as above */
}

static void
print_row(const struct cli_table *table, FILE *out, const char *const *row, const size_t *widths)
{
    for (size_t i = 0; i < table->count; i++) {
        const size_t columns = cli_text_columns(row[i]);
        const size_t padding = columns < widths[i] ? widths[i] - columns : 0;
        const bool last = i + 1 == table->count;
        if (table->columns[i].right) {
            pad(out, padding);
        }
        print_cut(out, row[i], widths[i]);
        if (!last) {
            pad(out, (table->columns[i].right ? 0 : padding) + GAP);
        }
    }
    (void)fputc('\n', out); /* as above */
}

static void
measure(struct cli_table *table, size_t width, size_t *ret_widths)
{
    size_t before = 0;
    for (size_t i = 0; i < table->count; i++) {
        const size_t max = table->columns[i].columns_max;
        const size_t title = cli_text_columns(table->columns[i].title);
        size_t widest = table->widest[i] > title ? table->widest[i] : title;
        for (size_t j = i; j < table->cell_count; j += table->count) {
            const size_t columns = cli_text_columns(table->cells[j]);
            widest = columns > widest ? columns : widest;
        }
        table->widest[i] = widest;
        ret_widths[i] = max > 0 && widest > max ? max : widest;
        before += ret_widths[i] + GAP;
    }
    if (width > 0 && before - GAP > width) {
        size_t *const last = &ret_widths[table->count - 1];
        const size_t over = before - GAP - width;
        *last = *last > over + LAST_COLUMN_MIN ? *last - over
                : *last < LAST_COLUMN_MIN      ? *last
                                               : LAST_COLUMN_MIN;
    }
}

void
cli_table_print(struct cli_table *table, FILE *out, size_t width)
{
    const char *titles[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    measure(table, width, widths);
    for (size_t i = 0; i < table->count; i++) {
        titles[i] = table->columns[i].title;
    }
    if (!table->headed) {
        print_row(table, out, titles, widths);
        table->headed = true;
    }
    for (size_t i = 0; i < table->cell_count; i += table->count) {
        print_row(table, out, (const char *const *)table->cells + i, widths);
    }
    drop_cells(table);
}

size_t
cli_table_terminal_width(void)
{
    struct winsize size;
    return isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col
                                                                                      : 0;
}
