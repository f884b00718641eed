#include "relay/postgres/sql.h"

#include <string.h>

#include "base/memory.h"

static const char variable[] = "schema";

/* Finds the next variable: a colon, and the word between quotes of one kind; NULL: there is none. */
static const char *
find(const char *sql)
{
    const size_t length = sizeof(variable) - 1;
    for (const char *at = strchr(sql, ':'); at != NULL; at = strchr(at + 1, ':')) {
        if ((at[1] == '"' || at[1] == '\'') && strncmp(at + 2, variable, length) == 0 &&
            at[2 + length] == at[1]) {
            return at;
        }
    }
    return NULL;
}

/* Writes the text between quotes, with quotes of the same kind doubled. A backslash in a text must be doubled in a
 * literal E'…', whatever standard_conforming_strings says. Returns the end. */
static char *
put_quoted(char *to, const char *text, char quote)
{
    if (quote == '\'' && strchr(text, '\\') != NULL) {
        to = stpcpy(to, " E");
    }
    *to++ = quote;
    for (; *text != '\0'; text++) {
        if (*text == quote || (*text == '\\' && quote == '\'')) {
            *to++ = *text;
        }
        *to++ = *text;
    }
    *to++ = quote;
    return to;
}

char *
postgres_sql(const char *sql, const char *schema)
{
    const size_t quoted_max = 2 * strlen(schema) + sizeof(" E''");
    size_t count = 0;
    for (const char *at = find(sql); at != NULL; at = find(at + 1)) {
        count++;
    }
    char *const text = memory_array(strlen(sql) + count * quoted_max + 1, 1);
    char *to = text;
    for (const char *at = find(sql); at != NULL; at = find(sql)) {
        to = mempcpy(to, sql, (size_t)(at - sql));
        to = put_quoted(to, schema, at[1]);
        sql = at + 1 + sizeof("''") - 1 + sizeof(variable) - 1;
    }
    memcpy(to, sql, strlen(sql)); /* the memory is zeroed */
    return text;
}

bool
postgres_refuse_absent(const char *forbidden, struct error *reterr)
{
    if (forbidden != NULL) {
        return error_set(reterr, ERROR_CONFIG,
                         "there are outbox tables in schema \"%s\", which this role may not use: "
                         "grant usage on schema \"%s\" to it",
                         forbidden, forbidden);
    }
    return error_set(reterr, ERROR_CONFIG,
                     "there are no outbox tables: run `outbox-relay init`, or set search_path in "
                     "the dsn to where they are");
}
