/* relay/mysql/sql.h - the text of a statement: a .sql file in which values replace the @names.
 *
 * The files can be run by hand after `set @after_id = 0, …`. Here each @name is replaced by its value: a number by its
 * digits; a text by its bytes in hex, which mean the same in every character set and sql_mode; a list by its elements
 * with commas between them. (An empty list becomes a number that no id has, because `in ()` is not valid SQL.) A part
 * of a statement that is known only at run time replaces a comment, "/" "*@name*" "/". The comment at the top of a file
 * is removed; other comments must not contain a name. The values are part of the text, because prepared statements
 * would gain little (consumers/mysql_statement.h), and lists can be of any length. */
#ifndef RELAY_MYSQL_SQL_H
#define RELAY_MYSQL_SQL_H

#include <stdint.h>

#include "base/buffer.h"

#define MY_PARAMETERS_MAX 24

enum my_parameter_kind {
    MY_NULL,
    MY_INT,
    MY_DOUBLE,
    MY_TEXT,
    MY_PLAIN,
    MY_INTS,
    MY_IDS,
    MY_EDGES,
    MY_SQL
};

struct my_parameter {
    const char *name; /* without the @ */
    enum my_parameter_kind kind;
    int64_t number;
    double fraction;
    const char *text;
    const int64_t *numbers; /* MY_INTS, MY_IDS, MY_EDGES */
    size_t count;
};

/* Initialise as {.count = 0}. Names, texts and lists are not copied: they must live until my_sql_put returns. Names
 * must not have an @. */
struct my_parameters {
    size_t count;
    struct my_parameter items[MY_PARAMETERS_MAX];
};

void my_parameters_null(struct my_parameters *parameters, const char *name);
void my_parameters_int(struct my_parameters *parameters, const char *name, int64_t value);
void my_parameters_double(struct my_parameters *parameters, const char *name, double value);
/* A NULL pointer becomes NULL. If the text is not valid UTF-8, every byte that is not ASCII becomes a question mark. */
void my_parameters_text(struct my_parameters *parameters, const char *name, const char *text);
/* A text of printable ASCII without ' and \, which is inserted unchanged between quotes. */
void my_parameters_plain(struct my_parameters *parameters, const char *name, const char *text);
/* For `in (@name)`. In a statement that locks rows only in the form of settle.sql: hold_lock.sql says why. */
void my_parameters_ints(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                        size_t count);
/* A JSON list for json_table. */
void my_parameters_ids(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                       size_t count);
/* `numbers` must ascend. Becomes a list of where each run of consecutive numbers begins and where it ends:
 * `interval(id, @name) % 2` is 0 for an id that is not among them. There are usually few runs however many numbers
 * there are, and the server finds the place by binary search. */
void my_parameters_edges(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                         size_t count);
/* A part of the statement, inserted unchanged. */
void my_parameters_sql(struct my_parameters *parameters, const char *name, const char *sql);

/* Replaces the content of `buffer` by the statement. False if it does not fit. Every @name in the file must be a
 * parameter; @@names are the server's variables, @`names` the session's. */
bool my_sql_put(struct buffer *buffer, const char *sql,
                const struct my_parameters *parameters) MUST_CHECK;

#endif
