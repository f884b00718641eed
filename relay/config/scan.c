#include "relay/config/scan.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "relay/config/config.h"
#include "relay/config/lexer.h"

#define NAMES_MAX 64 /* more than any scope has keys */

struct scanner {
    struct lexer lexer;
    size_t item_start; /* start of the key or section that is being read */
    size_t section;    /* index of the current section */
    struct config_scan *scan;
};

#define SYNTAX(scanner, line, ...) \
    (config_problem_add((scanner)->lexer.problems, (line), __VA_ARGS__), false)

/* Goes on after a complete item. */
static bool
next_item(struct scanner *scanner)
{
    scanner->item_start = scanner->lexer.token.end;
    return lexer_next(&scanner->lexer);
}

/* True for a name such as people give to keys and sections. Only such a name may be shown: any other text could be a
 * value, and so a secret, in the wrong place. */
static bool
is_name(const char *text)
{
    const size_t length = strlen(text);
    return length > 0 && length <= CONFIG_NAME_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
               length;
}

/* Or for a name with one star in it, of a template. */
static bool
is_title(enum config_scope scope, const char *text)
{
    const char *const star = scope == CONFIG_SOURCE ? strchr(text, '*') : NULL;
    if (star == NULL) {
        return is_name(text);
    }
    char *const rest = config_format("%.*s%s", (int)(star - text), text, star + 1);
    const bool good = rest[0] == '\0' || is_name(rest);
    memory_free(rest);
    return good;
}

static const struct config_section *
current_section(const struct scanner *scanner)
{
    return &scanner->scan->sections[scanner->section];
}

/* `source "orders"`, `binding`, or nothing; a new string. */
static char *
section_words(const struct config_section *section)
{
    const char *const word = config_scope_word(section->scope);
    return section->title == NULL ? memory_string(word)
                                  : config_format("%s \"%s\"", word, section->title);
}

char *
config_section_place(const struct config_section *section)
{
    char *const words = section_words(section);
    char *const place = config_format("%s%s", words, words[0] == '\0' ? "" : ": ");
    memory_free(words);
    return place;
}

static const char *
nearest_key(enum config_scope scope, const char *name)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < config_key_count && count < NAMES_MAX; i++) {
        if (config_keys[i].scope == scope) {
            names[count++] = config_keys[i].name;
        }
    }
    return text_nearest(name, names, count);
}

static const char *
article(enum config_scope scope)
{
    return scope == CONFIG_EXCHANGE || scope == CONFIG_HTTP ? "an" : "a";
}

/* "; did you mean …?" or "; it belongs …" or nothing; a new string. */
static char *
advice_for_key(enum config_scope scope, const char *name)
{
    for (enum config_scope other = 0; other < CONFIG_SCOPE_COUNT; other++) {
        if (other != scope && config_key_find(other, name) != NULL) {
            const char *const word = config_scope_word(other);
            return other == CONFIG_GLOBAL
                       ? config_format("; it belongs outside of the sections")
                       : config_format("; it belongs in %s %s section", article(other), word);
        }
    }
    const char *const nearest = nearest_key(scope, name);
    return nearest == NULL ? memory_string("") : config_format("; did you mean \"%s\"?", nearest);
}

static void
report_unknown_key(struct scanner *scanner, unsigned line, const char *name)
{
    char *const where = config_section_place(current_section(scanner));
    char *const advice = advice_for_key(current_section(scanner)->scope, name);
    if (is_name(name)) {
        config_problem_add(scanner->lexer.problems, line, "%sunknown key \"%s\"%s", where, name,
                           advice);
    } else {
        config_problem_add(scanner->lexer.problems, line, "%sthis is no name of a key", where);
    }
    memory_free(advice);
    memory_free(where);
}

/* A key outside of the sections of an included file: two such files would contradict each other. */
static bool
is_misplaced(const struct scanner *scanner)
{
    return scanner->section == 0 && scanner->lexer.problems->file > 0;
}

static void
report_misplaced_key(struct scanner *scanner, unsigned line, const char *name)
{
    struct config_problems *const problems = scanner->lexer.problems;
    config_problem_add(problems, line,
                       "%s belongs in %s: a file that is included has only sections", name,
                       problems->paths[0]);
}

/* At the "=" after `name`. */
static bool
scan_key(struct scanner *scanner, const char *name, unsigned line)
{
    const bool known = config_key_find(current_section(scanner)->scope, name) != NULL;
    if (!lexer_next(&scanner->lexer)) {
        return false;
    }
    if (!lexer_is_text(&scanner->lexer)) {
        return SYNTAX(scanner, line, "\"%s\" has no value", is_name(name) ? name : "this");
    }
    if (!known || is_misplaced(scanner)) {
        if (known) {
            report_misplaced_key(scanner, line, name);
        } else {
            report_unknown_key(scanner, line, name);
        }
        lexer_blank_out(&scanner->lexer, scanner->item_start, scanner->lexer.token.end);
    }
    return next_item(scanner);
}

/* At the "{" of an unknown section: removes it, with everything in it. */
static bool
skip_section(struct scanner *scanner, unsigned line)
{
    for (unsigned depth = 1; depth > 0;) {
        if (!lexer_next(&scanner->lexer)) {
            return false;
        }
        if (scanner->lexer.token.kind == TOKEN_END) {
            return SYNTAX(scanner, line, "this section has no \"}\"");
        }
        depth += lexer_is_symbol(&scanner->lexer, '{') ? 1 : 0;
        depth -= lexer_is_symbol(&scanner->lexer, '}') ? 1 : 0;
    }
    lexer_blank_out(&scanner->lexer, scanner->item_start, scanner->lexer.token.end);
    return next_item(scanner);
}

static bool
skip_unknown_section(struct scanner *scanner, const char *word, unsigned line)
{
    const char *words[CONFIG_SCOPE_COUNT - 1];
    for (enum config_scope scope = CONFIG_BROKER; scope < CONFIG_SCOPE_COUNT; scope++) {
        words[scope - 1] = config_scope_word(scope);
    }
    const char *const nearest = text_nearest(word, words, CONFIG_SCOPE_COUNT - 1);
    config_problem_add(scanner->lexer.problems, line, "unknown section%s%s%s%s%s%s",
                       is_name(word) ? " \"" : "", is_name(word) ? word : "",
                       is_name(word) ? "\"" : "", nearest == NULL ? "" : "; did you mean \"",
                       nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?");
    return skip_section(scanner, line);
}

static void
add_section(struct scanner *scanner, enum config_scope scope, const char *title, unsigned line)
{
    struct config_scan *const scan = scanner->scan;
    struct config_section *const sections = memory_array(scan->count + 1, sizeof(*sections));
    memcpy(sections, scan->sections, scan->count * sizeof(*sections));
    char *const shown =
        config_scope_is_named(scope) ? memory_string(is_title(scope, title) ? title : "?") : NULL;
    sections[scan->count] =
        (struct config_section){scope, shown, scanner->lexer.problems->file, line, line};
    memory_free(scan->sections);
    scan->sections = sections;
    scanner->section = scan->count++;
}

static void
check_title(struct scanner *scanner, const char *title, unsigned line)
{
    const struct config_section *const section = current_section(scanner);
    const char *const word = config_scope_word(section->scope);
    if (!is_title(section->scope, title)) {
        config_problem_add(scanner->lexer.problems, line,
                           "the name of a %s is made of letters, digits, \"_\", \"-\" and \".\", "
                           "at most %d of them%s",
                           word, CONFIG_NAME_MAX,
                           section->scope == CONFIG_SOURCE ? "; that of a template also has a \"*\""
                                                           : "");
        return;
    }
    for (size_t i = 0; i < scanner->section; i++) {
        const struct config_section *const other = &scanner->scan->sections[i];
        if (other->scope == section->scope && strcmp(other->title, title) == 0) {
            char *const where =
                config_problems_line(scanner->lexer.problems, other->file, other->line);
            config_problem_add(scanner->lexer.problems, line,
                               "%s \"%s\": there is one of this name in %s already", word, title,
                               where);
            memory_free(where);
            return;
        }
    }
}

static bool scan_items(struct scanner *scanner);

/* The library tells values of unnamed sections apart only by their lines. */
static bool
has_own_line(const struct scanner *scanner, enum config_scope scope, unsigned line)
{
    for (size_t i = 1; i < scanner->scan->count; i++) {
        const struct config_section *const other = &scanner->scan->sections[i];
        if (other->scope == scope && other->file == scanner->lexer.problems->file &&
            other->last_line == line) {
            return false;
        }
    }
    return true;
}

/* True if a section may have this title; if not, that was reported. */
static bool
accept_title(const struct scanner *scanner, enum config_scope scope, const char *title,
             unsigned line)
{
    const char *const word = config_scope_word(scope);
    if (config_scope_is_named(scope) == (title != NULL)) {
        if (title != NULL || has_own_line(scanner, scope, line)) {
            return true;
        }
        config_problem_add(scanner->lexer.problems, line,
                           "%s %s begins in a line of its own, not in that of another",
                           article(scope), word);
    } else if (title == NULL) {
        config_problem_add(scanner->lexer.problems, line, "%s %s needs a name: %s \"main\" { ... }",
                           article(scope), word, word);
    } else {
        config_problem_add(scanner->lexer.problems, line, "%s %s has no name: %s { ... }",
                           article(scope), word, word);
    }
    return false;
}

/* At the "{" of a known section. */
static bool
scan_section(struct scanner *scanner, enum config_scope scope, const char *title, unsigned line)
{
    if (!accept_title(scanner, scope, title, line)) {
        return skip_section(scanner, line);
    }
    add_section(scanner, scope, title, line);
    if (title != NULL) {
        check_title(scanner, title, line);
    }
    const size_t opened = scanner->section;
    if (!next_item(scanner) || !scan_items(scanner)) {
        return false;
    }
    scanner->scan->sections[opened].last_line = scanner->lexer.token.line;
    scanner->section = 0;
    return next_item(scanner);
}

static bool
scope_of_word(const char *word, enum config_scope *ret_scope)
{
    for (enum config_scope scope = CONFIG_BROKER; scope < CONFIG_SCOPE_COUNT; scope++) {
        if (strcmp(word, config_scope_word(scope)) == 0) {
            *ret_scope = scope;
            return true;
        }
    }
    return false;
}

/* After `word`, at a title or at "{". */
static bool
scan_section_head(struct scanner *scanner, const char *word, unsigned line)
{
    char *title = NULL;
    if (lexer_is_text(&scanner->lexer)) {
        title = lexer_token_text(&scanner->lexer);
        if (!lexer_next(&scanner->lexer)) {
            memory_free(title);
            return false;
        }
    }
    enum config_scope scope = CONFIG_GLOBAL;
    const bool known = scope_of_word(word, &scope);
    bool good;
    if (!lexer_is_symbol(&scanner->lexer, '{')) {
        good = known ? SYNTAX(scanner, line, "expected \"{\" after the name of this %s", word)
                     : SYNTAX(scanner, line, "expected \"key = value\" or a section here");
    } else if (scanner->section > 0 && known) {
        char *const within = section_words(current_section(scanner));
        good = SYNTAX(scanner, line, "%s has no \"}\" before this section", within);
        memory_free(within);
    } else {
        good = known ? scan_section(scanner, scope, title, line)
                     : skip_unknown_section(scanner, word, line);
    }
    memory_free(title);
    return good;
}

/* At a name. */
static bool
scan_item(struct scanner *scanner)
{
    const unsigned line = scanner->lexer.token.line;
    scanner->item_start = scanner->lexer.token.start;
    char *const name = lexer_token_text(&scanner->lexer);
    const bool known = config_key_find(current_section(scanner)->scope, name) != NULL;
    bool good = lexer_next(&scanner->lexer);
    if (!good) {
    } else if (lexer_is_symbol(&scanner->lexer, '=')) {
        good = scan_key(scanner, name, line);
    } else if (known) {
        good = SYNTAX(scanner, line, "expected \"=\" after \"%s\"", name);
    } else if (lexer_is_text(&scanner->lexer) || lexer_is_symbol(&scanner->lexer, '{')) {
        good = scan_section_head(scanner, name, line);
    } else {
        good = SYNTAX(scanner, line, "expected \"key = value\" or a section here");
    }
    memory_free(name);
    return good;
}

static bool
unexpected_symbol(struct scanner *scanner)
{
    scanner->item_start = scanner->lexer.token.start;
    return SYNTAX(scanner, scanner->lexer.token.line,
                  "unexpected \"%c\": a value with blanks or any of = { } ( ) + , * # needs quotes",
                  scanner->lexer.text[scanner->lexer.token.start]);
}

/* At the end of the file. */
static bool
is_complete(const struct scanner *scanner)
{
    if (scanner->section == 0) {
        return true;
    }
    char *const within = section_words(current_section(scanner));
    config_problem_add(scanner->lexer.problems, current_section(scanner)->line, "%s has no \"}\"",
                       within);
    memory_free(within);
    return false;
}

/* Until the end of the section or of the file, which stays the current token. */
static bool
scan_items(struct scanner *scanner)
{
    for (;;) {
        scanner->item_start = scanner->lexer.token.start;
        if (scanner->lexer.token.kind == TOKEN_END) {
            return is_complete(scanner);
        }
        if (lexer_is_symbol(&scanner->lexer, '}') && scanner->section > 0) {
            return true;
        }
        if (lexer_is_symbol(&scanner->lexer, '}')) {
            return SYNTAX(scanner, scanner->lexer.token.line, "there is no \"{\" for this \"}\"");
        }
        if (!lexer_is_text(&scanner->lexer)) {
            return unexpected_symbol(scanner);
        }
        if (!scan_item(scanner)) {
            return false;
        }
    }
}

/* The structure is not understood any more. Everything before the current item is kept, so that its values are checked
 * too. */
static void
give_up(struct scanner *scanner)
{
    char *const text = scanner->lexer.text;
    const size_t length = strlen(text);
    scanner->scan->broken = true;
    lexer_blank_out(&scanner->lexer, scanner->item_start, length);
    if (scanner->section > 0) {
        scanner->scan->sections[scanner->section].last_line = scanner->lexer.line;
        text[length] = '}'; /* the extra byte (scan.h) */
        text[length + 1] = '\0';
    }
}

void
config_scan_text(char *text, struct config_problems *problems, struct config_scan *scan)
{
    if (scan->count == 0) {
        struct config_section *const global = memory_array(1, sizeof(*global));
        *global = (struct config_section){.scope = CONFIG_GLOBAL, .line = 0, .last_line = ~0U};
        *scan = (struct config_scan){.sections = global, .count = 1};
    }
    struct scanner scanner = {.lexer = {.text = text, .line = 1, .problems = problems},
                              .scan = scan};
    if (!lexer_next(&scanner.lexer) || !scan_items(&scanner)) {
        give_up(&scanner);
    }
}

void
config_scan_done(struct config_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        memory_free(scan->sections[i].title);
    }
    memory_free(scan->sections);
}
