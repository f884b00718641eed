/* relay/mysql/sql.h - the text of a statement: a .sql file with values in the place of its @names.
 *
 * The files run by hand after a `set @after_id = 0, …`. Here each @name is replaced by its value: a number by its digits, a text by
 * its bytes in hex, the same in every character set and sql_mode, a list by its elements with commas between (an empty one by
 * a number that no id has, as `in ()` is no SQL). A part of a statement that is only known when it is made takes the place of a
 * comment, "/" "*@name*" "/". The comment at the top of a file is left out; no other names a parameter. Text and not prepared
 * statements: they would win little (consumers/mysql_statement.h), and lists can be of any length. */
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

/* Begins as {.count = 0}. What is pointed to must live until the statement is made. */
struct my_parameters {
    size_t count;
    struct my_parameter items[MY_PARAMETERS_MAX];
};

void my_parameters_null(struct my_parameters *parameters, const char *name);
void my_parameters_int(struct my_parameters *parameters, const char *name, int64_t value);
void my_parameters_double(struct my_parameters *parameters, const char *name, double value);
/* NULL is NULL. If it is not UTF-8, all that is not ASCII becomes a question mark. */
void my_parameters_text(struct my_parameters *parameters, const char *name, const char *text);
/* A text of printable ASCII without quotes ' and backslashes, as it is. */
void my_parameters_plain(struct my_parameters *parameters, const char *name, const char *text);
/* For `in (@name)`; of rows that are to be locked only as settle.sql has it: hold_lock.sql says why. */
void my_parameters_ints(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                        size_t count);
/* A JSON list, for json_table. */
void my_parameters_ids(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                       size_t count);
/* Of ascending numbers, where each run of them begins and where it is over: `interval(id, @name) % 2` is 0 for an id that is none
 * of them. Most often they are few, however many the numbers are, and the server searches them by halves. */
void my_parameters_edges(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                         size_t count);
/* A part of the statement. */
void my_parameters_sql(struct my_parameters *parameters, const char *name, const char *sql);

/* Replaces the content of `buffer` by the statement. False if it does not take so much. Every @name of the file must be among the
 * parameters; @@names are the server's, @`names` the session's. */
bool my_sql_put(struct buffer *buffer, const char *sql,
                const struct my_parameters *parameters) MUST_CHECK;

#endif
