#include "relay/mysql/schema.h"

#include <ctype.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#include "mysql_schema_outbox_cancel_sql.h"
#include "mysql_schema_outbox_held_act_sql.h"
#include "mysql_schema_outbox_held_sql.h"
#include "mysql_schema_outbox_new_sql.h"
#include "mysql_schema_outbox_payload_sql.h"
#include "mysql_schema_outbox_relay_schema_sql.h"
#include "mysql_schema_outbox_relay_sql.h"
#include "mysql_schema_outbox_relay_version_sql.h"
#include "mysql_schema_outbox_schema_sql.h"
#include "mysql_schema_outbox_sent_batch_sql.h"
#include "mysql_schema_outbox_sql.h"
#include "mysql_schema_outbox_version_sql.h"

const struct my_part my_parts[] = {
    {"outbox", MY_PART_TABLE, false, sql_outbox},
    {"outbox_payload", MY_PART_TRIGGER, false, sql_outbox_payload},
    {"outbox_new", MY_PART_VIEW, false, sql_outbox_new},
    {"outbox_schema", MY_PART_TABLE, false, sql_outbox_schema},
    {"outbox_held", MY_PART_TABLE, true, sql_outbox_held},
    {"outbox_held_act", MY_PART_TABLE, true, sql_outbox_held_act},
    {"outbox_relay", MY_PART_TABLE, true, sql_outbox_relay},
    {"outbox_sent_batch", MY_PART_TABLE, true, sql_outbox_sent_batch},
    {"outbox_cancel", MY_PART_PROCEDURE, true, sql_outbox_cancel},
    {"outbox_relay_schema", MY_PART_TABLE, true, sql_outbox_relay_schema},
    {NULL, MY_PART_TABLE, false, NULL},
};

const char *const my_version_sql = sql_outbox_version;
const char *const my_relay_version_sql = sql_outbox_relay_version;

/* ---- what the server says ------------------------------------------------------------------------------- */

enum sight { SIGHT_THERE, SIGHT_MISSING, SIGHT_HIDDEN, SIGHT_FAILED };

/* Whether the error of SHOW CREATE means that the object is missing, or that the account may not see it. */
static enum sight
sight_of(const struct my_session *session)
{
    switch (session->code) {
    case ER_NO_SUCH_TABLE:
    case ER_TRG_DOES_NOT_EXIST:
    case ER_SP_DOES_NOT_EXIST:
        return SIGHT_MISSING;
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
    case ER_PROCACCESS_DENIED_ERROR:
        return SIGHT_HIDDEN;
    default:
        return SIGHT_FAILED;
    }
}

/* The column of SHOW CREATE that has the text. */
static unsigned
column_of(enum my_part_kind kind)
{
    return kind == MY_PART_TABLE || kind == MY_PART_VIEW ? 1 : 2;
}

/* *ret_text is for memory_free, also if it is NULL. */
static enum sight
look_at(struct my_session *session, const struct my_part *part, char **ret_text)
{
    static const char *const kinds[] = {"table", "trigger", "view", "procedure"};
    const struct my_parameters none = {.count = 0};
    char sql[100];
    MYSQL_RES *rows;
    (void)snprintf(sql, sizeof(sql), "show create %s %s", kinds[part->kind], part->name); /* fits */
    if (!my_session_ask(session, sql, &none, &rows)) {
        return sight_of(session);
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    const unsigned column = column_of(part->kind);
    const bool there = row != NULL && row[column] != NULL;
    *ret_text = there ? memory_string(row[column]) : NULL;
    mysql_free_result(rows);
    return there ? SIGHT_THERE : SIGHT_HIDDEN;
}

/* ---- bodies --------------------------------------------------------------------------------------------- */

/* True if both texts are equal except for white space, some of which a client may have removed. */
static bool
is_same_text(const char *a, const char *b)
{
    for (;;) {
        a += strspn(a, " \t\r\n");
        b += strspn(b, " \t\r\n");
        if (*a == '\0' || *a != *b) {
            return *a == *b;
        }
        a++;
        b++;
    }
}

/* Compares from `begin` on: each server writes the part before it in its own way. */
static bool
has_body(const char *text, const char *sql)
{
    const char *const body = strstr(sql, "\nbegin\n");
    const char *const there = strstr(text, "begin");
    return body != NULL && there != NULL && is_same_text(there, body + 1);
}

static bool
ends_with(const char *text, const char *end)
{
    const size_t size = strlen(text);
    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

/* The view runs with the rights of its creator, and shows no rows. */
static bool
is_view_good(const char *text)
{
    return strstr(text, " SQL SECURITY DEFINER ") != NULL &&
           strstr(text, " from `outbox` where ") != NULL &&
           (ends_with(text, " where false") || ends_with(text, " where 0"));
}

static bool
is_as_made(const struct my_part *part, const char *text)
{
    return part->kind == MY_PART_VIEW ? is_view_good(text) : has_body(text, part->sql);
}

/* ---- lines of tables ------------------------------------------------------------------------------------ */

static const char *const begins_line[] = {"\n    constraint ", "\n    index "};

/* The next line with a constraint or an index; NULL: none. */
static const char *
next_line(const char *sql, size_t *ret_size)
{
    const char *next = NULL;
    for (size_t i = 0; i < sizeof(begins_line) / sizeof(begins_line[0]); i++) {
        const char *const found = strstr(sql, begins_line[i]);
        if (found != NULL && (next == NULL || found < next)) {
            next = found;
        }
    }
    if (next == NULL) {
        return NULL;
    }
    next += strlen("\n    ");
    *ret_size = strcspn(next, "\n");
    *ret_size -= next[*ret_size - 1] == ',' ? 1 : 0;
    return next;
}

static bool
is_index(const char *line)
{
    return strncmp(line, "index ", strlen("index ")) == 0;
}

/* Writes an index as the server does: "index a (b, c)" becomes KEY `a` (`b`,`c`). */
static void
server_words(const char *line, size_t size, char *ret_words, size_t room)
{
    char *out = ret_words;
    /* Room for a quote, a character, and the zero byte. */
    const char *const end = ret_words + room - 3;
    bool in_name = false;
    out = stpcpy(out, "KEY "); /* fits */
    for (size_t i = strlen("index "); i < size && out < end; i++) {
        const bool name = isalnum((unsigned char)line[i]) || line[i] == '_';
        if (name != in_name) {
            *out++ = '`';
            in_name = name;
        }
        if (line[i] != ' ' || line[i + 1] == '(') {
            *out++ = line[i];
        }
    }
    *out = '\0';
}

static const char *
state_of_index(const char *text, const char *line, size_t size)
{
    char words[300];
    char name[100];
    server_words(line, size, words, sizeof(words));
    (void)snprintf(name, sizeof(name), "%.*s", (int)(strchr(words, '(') - words), words); /* fits */
    return strstr(text, words) != NULL ? NULL : strstr(text, name) != NULL ? "altered" : "missing";
}

static const char *
state_of_constraint(const char *text, const char *line)
{
    char words[120];
    const char *const name = line + strlen("constraint ");
    (void)snprintf(words, sizeof(words), "CONSTRAINT `%.*s` CHECK ", (int)strcspn(name, " "),
                   name); /* fits */
    const char *const there = strstr(text, words);
    if (there == NULL) {
        return "missing";
    }
    const char *const off = strstr(there, "NOT ENFORCED");
    return off != NULL && off < strchrnul(there, '\n') ? "disabled" : NULL;
}

/* ---- lacks ---------------------------------------------------------------------------------------------- */

static void
add(struct my_lacks *lacks, const struct my_lack *lack)
{
    if (lack->state != NULL && lacks->count < MY_LACKS_MAX) {
        lacks->items[lacks->count++] = *lack;
    }
}

static void
look_at_lines(const struct my_part *part, const char *text, struct my_lacks *lacks)
{
    struct my_lack lack = {.part = part};
    for (const char *line = next_line(part->sql, &lack.line_size); line != NULL;
         line = next_line(line, &lack.line_size)) {
        lack.line = line;
        lack.state = is_index(line) ? state_of_index(text, line, lack.line_size)
                                    : state_of_constraint(text, line);
        add(lacks, &lack);
    }
}

static bool
look_at_part(struct my_session *session, const struct my_part *part, bool makes,
             struct my_lacks *lacks)
{
    char *text = NULL;
    struct my_lack lack = {.part = part};
    const enum sight sight = look_at(session, part, &text);
    if (sight == SIGHT_MISSING && (part->kind != MY_PART_PROCEDURE || makes)) {
        lack.state = "missing";
    } else if (sight == SIGHT_THERE && part->kind == MY_PART_TABLE) {
        look_at_lines(part, text, lacks);
    } else if (sight == SIGHT_THERE && !is_as_made(part, text)) {
        lack.state = "altered";
    }
    add(lacks, &lack);
    memory_free(text);
    return sight != SIGHT_FAILED;
}

bool
my_schema_look(struct my_session *session, bool makes, struct my_lacks *ret_lacks)
{
    const struct my_parameters none = {.count = 0};
    bool good = my_session_run(session, "set session sql_quote_show_create = 1", &none, NULL);
    ret_lacks->count = 0;
    for (const struct my_part *part = my_parts; good && part->name != NULL; part++) {
        good = look_at_part(session, part, makes, ret_lacks);
    }
    return good;
}

/* ---- words ---------------------------------------------------------------------------------------------- */

bool
my_lack_is_index(const struct my_lack *lack)
{
    return lack->line != NULL && is_index(lack->line);
}

const char *
my_lack_name(const struct my_lack *lack, size_t *ret_size)
{
    if (lack->line == NULL) {
        *ret_size = strlen(lack->part->name);
        return lack->part->name;
    }
    const char *const name = strchr(lack->line, ' ') + 1;
    *ret_size = strcspn(name, " ");
    return name;
}

void
my_lack_words(const struct my_lack *lack, char *ret_words, size_t size)
{
    static const char *const kinds[] = {"table", "trigger", "view", "procedure"};
    size_t name_size;
    const char *const name = my_lack_name(lack, &name_size);
    if (lack->line == NULL) {
        (void)snprintf(ret_words, size, "the %s %s", kinds[lack->part->kind], name); /* fits */
    } else {
        (void)snprintf(ret_words, size, "the %s %.*s of %s",
                       is_index(lack->line) ? "index" : "constraint", (int)name_size, name,
                       lack->part->name); /* fits */
    }
}
