#include "relay/mysql/binlog_query.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    const char *end;
};

static struct text
text_of(struct span span)
{
    const char *start = span.size > 0 ? span.data : "";
    return (struct text){start, start + span.size};
}

static bool
begins_with(const struct text *text, const char *words)
{
    const size_t size = strlen(words);
    return (size_t)(text->end - text->at) >= size && strncasecmp(text->at, words, size) == 0;
}

static bool
is_blank(char c)
{
    return isspace((unsigned char)c) != 0;
}

/* Bytes above 127 belong to letters that are not ASCII. */
static bool
is_of_a_name(char c)
{
    return isalnum((unsigned char)c) != 0 || c == '_' || c == '$' || (unsigned char)c > 127;
}

static void
skip_past(struct text *text, const char *end)
{
    const size_t size = strlen(end);
    const char *const found = memmem(text->at, (size_t)(text->end - text->at), end, size);
    text->at = found != NULL ? found + size : text->end;
}

/* Skips a comment. If the server executes it (it begins with ! and perhaps a version), only this beginning is
 * skipped. */
static bool
skip_comment(struct text *text)
{
    if (begins_with(text, "/*!") || begins_with(text, "/*M!")) {
        skip_past(text, "!");
        while (text->at < text->end && isdigit((unsigned char)*text->at)) {
            text->at++;
        }
        return true;
    }
    if (begins_with(text, "/*")) {
        skip_past(text, "*/");
        return true;
    }
    if (begins_with(text, "#") || begins_with(text, "--")) {
        skip_past(text, "\n");
        return true;
    }
    return false;
}

static void
skip_blanks(struct text *text)
{
    do {
        while (text->at < text->end && is_blank(*text->at)) {
            text->at++;
        }
    } while (text->at < text->end && skip_comment(text));
}

/* Skips the word if it is the next one. */
static bool
take(struct text *text, const char *word)
{
    const size_t size = strlen(word);
    if (!begins_with(text, word) || (text->at + size < text->end && is_of_a_name(text->at[size]))) {
        return false;
    }
    text->at += size;
    skip_blanks(text);
    return true;
}

static bool
take_any(struct text *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (take(text, words[i])) {
            return true;
        }
    }
    return false;
}

/* SET PASSWORD, SET DEFAULT ROLE and the like are definitions; SET STATEMENT … FOR is followed by any other
 * statement. */
static bool
defines(struct text *text)
{
    static const char *const verbs[] = {
        "alter",  "analyze", "backup", "cache",  "change",   "check",     "comment",
        "create", "drop",    "flush",  "grant",  "install",  "optimize",  "purge",
        "rename", "repair",  "reset",  "revoke", "truncate", "uninstall",
    };
    if (take(text, "set")) {
        return !take(text, "statement");
    }
    return take_any(text, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

static enum my_query_kind
kind_of_xa(struct text *text)
{
    if (take(text, "start") || take(text, "begin")) {
        return MY_QUERY_XA_START;
    }
    if (take(text, "end")) {
        return MY_QUERY_XA_END;
    }
    if (take(text, "commit")) {
        return MY_QUERY_XA_COMMIT;
    }
    return take(text, "rollback") ? MY_QUERY_XA_ROLLBACK : MY_QUERY_ROWS;
}

static enum my_query_kind
kind_of(struct text *text)
{
    if (take(text, "begin")) {
        return MY_QUERY_BEGIN;
    }
    if (take(text, "commit")) {
        return MY_QUERY_COMMIT;
    }
    if (take(text, "rollback")) {
        return take(text, "to") ? MY_QUERY_SAVEPOINT : MY_QUERY_ROLLBACK;
    }
    if (take(text, "savepoint")) {
        return MY_QUERY_SAVEPOINT;
    }
    if (take(text, "xa")) {
        return kind_of_xa(text);
    }
    return defines(text) ? MY_QUERY_DEFINITION : MY_QUERY_ROWS;
}

enum my_query_kind
my_query_kind_of(struct span span, struct span *ret_rest)
{
    struct text text = text_of(span);
    skip_blanks(&text);
    const enum my_query_kind kind = kind_of(&text);
    while (text.end > text.at && is_blank(text.end[-1])) {
        text.end--;
    }
    *ret_rest = (struct span){text.at, (size_t)(text.end - text.at)};
    return kind;
}

/* True for `name`@`host`, as in DEFINER=…: an account. */
static bool
is_account(const struct text *text, size_t size)
{
    const char *at = text->at + size;
    if (at < text->end && (*at == '`' || *at == '\'' || *at == '"')) {
        at++;
    }
    return at < text->end && *at == '@';
}

static bool
is_whole_word(const struct text *text, const char *start, size_t size)
{
    return (text->at == start || !is_of_a_name(text->at[-1])) &&
           (text->at + size == text->end || !is_of_a_name(text->at[size]));
}

bool
my_query_names(struct span span, const char *name)
{
    struct text text = text_of(span);
    const char *const start = text.at;
    const size_t size = strlen(name);
    for (; text.at < text.end; text.at++) {
        if (begins_with(&text, name) && is_whole_word(&text, start, size) &&
            !is_account(&text, size)) {
            return true;
        }
    }
    return false;
}
