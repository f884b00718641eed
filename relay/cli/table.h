/* relay/cli/table.h - rows of text in aligned columns. */
#ifndef RELAY_CLI_TABLE_H
#define RELAY_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cli_column {
    const char *title;
    bool right;         /* for numbers */
    size_t columns_max; /* longer texts are cut; 0: never */
};

struct cli_table;

struct cli_table *cli_table_new(const struct cli_column *columns, size_t count);
void cli_table_free(struct cli_table *table);

/* The next cell, row by row; copied and cleaned. NULL and "" become "-". */
void cli_table_add(struct cli_table *table, const char *text);

/* Prints and forgets the rows added since the last call; the first call prints the titles too. Columns are as wide as
 * the widest cell so far. width: of the terminal, to which the last column is cut; 0: it is not cut. */
void cli_table_print(struct cli_table *table, FILE *out, size_t width);

/* The width of the terminal that is stdout, 0 if it is none. */
size_t cli_table_terminal_width(void);

#endif
