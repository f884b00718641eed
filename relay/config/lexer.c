#include "relay/config/lexer.h"

#include <string.h>

#define SYNTAX(lexer, line, ...) (config_problem_add((lexer)->problems, (line), __VA_ARGS__), false)

void
lexer_blank_out(struct lexer *lexer, size_t start, size_t end)
{
    for (size_t i = start; i < end; i++) {
        if (lexer->text[i] != '\n') {
            lexer->text[i] = ' ';
        }
    }
}

static void
advance(struct lexer *lexer)
{
    if (lexer->text[lexer->at] == '\n') {
        lexer->line++;
    }
    if (lexer->text[lexer->at] != '\0') {
        lexer->at++;
    }
}

static bool
skip_comment(struct lexer *lexer)
{
    const size_t start = lexer->at;
    const unsigned line = lexer->line;
    const char *const text = lexer->text;
    if (text[start + 1] == '*' && text[start] == '/') {
        const char *const end = strstr(text + start + 2, "*/");
        if (end == NULL) {
            return SYNTAX(lexer, line, "this comment has no end");
        }
        while (text + lexer->at < end + 2) {
            advance(lexer);
        }
    } else {
        while (text[lexer->at] != '\n' && text[lexer->at] != '\0') {
            advance(lexer);
        }
    }
    lexer_blank_out(lexer, start, lexer->at);
    return true;
}

static bool
skip_blanks(struct lexer *lexer)
{
    for (;;) {
        const char *const front = lexer->text + lexer->at;
        if (front[0] == '#' || (front[0] == '/' && (front[1] == '/' || front[1] == '*'))) {
            if (!skip_comment(lexer)) {
                return false;
            }
        } else if (front[0] != '\0' && strchr(" \t\r\n", front[0]) != NULL) {
            advance(lexer);
        } else {
            return true;
        }
    }
}

/* Marks a variable inside double quotes, at "${". */
static bool
mark_variable(struct lexer *lexer)
{
    const char *const front = lexer->text + lexer->at;
    if (front[strcspn(front, "}\"\n\\")] != '}') {
        return SYNTAX(lexer, lexer->line,
                      "\"${\" begins a variable that has no \"}\"; for the characters themselves "
                      "write \"\\${\" or use single quotes");
    }
    lexer->text[lexer->at] = CONFIG_MARK_WITHIN;
    return true;
}

static bool
read_string(struct lexer *lexer)
{
    const char quote = lexer->text[lexer->at];
    const unsigned line = lexer->line;
    advance(lexer);
    while (lexer->text[lexer->at] != quote) {
        const char *const front = lexer->text + lexer->at;
        if (front[0] == '\0') {
            return SYNTAX(lexer, line, "the string that begins here has no end");
        }
        if (quote == '"' && front[0] == '$' && front[1] == '{' && !mark_variable(lexer)) {
            return false;
        }
        if (front[0] == '\\') {
            advance(lexer);
        }
        advance(lexer);
    }
    advance(lexer);
    lexer->token.kind = TOKEN_STRING;
    return true;
}

/* Rewrites an unquoted ${NAME} as a string of the same length: "\2NAME". */
static bool
read_variable(struct lexer *lexer)
{
    char *const front = lexer->text + lexer->at;
    const size_t length = strcspn(front, "}\"'\n\\#");
    if (front[length] != '}') {
        return SYNTAX(lexer, lexer->line, "\"${\" begins a variable that has no \"}\"");
    }
    front[0] = '"';
    front[1] = CONFIG_MARK_WHOLE;
    front[length] = '"';
    lexer->at += length + 1;
    lexer->token.kind = TOKEN_STRING;
    return true;
}

static bool
read_word(struct lexer *lexer)
{
    /* The same characters as libconfuse's lexer allows in an unquoted string. */
    const size_t length = strcspn(lexer->text + lexer->at, " #\"'\t\n\r={}()+,*");
    lexer->at += length;
    lexer->token.kind = TOKEN_WORD;
    if (lexer->text[lexer->at] == '{' && lexer->text[lexer->at - 1] == '$') {
        return SYNTAX(lexer, lexer->line, "a value with ${...} and other text needs quotes");
    }
    return true;
}

bool
lexer_next(struct lexer *lexer)
{
    if (!skip_blanks(lexer)) {
        return false;
    }
    const char *const front = lexer->text + lexer->at;
    struct token *const token = &lexer->token;
    token->start = lexer->at;
    token->line = lexer->line;
    bool good = true;
    if (front[0] == '\0') {
        token->kind = TOKEN_END;
    } else if (front[0] == '"' || front[0] == '\'') {
        good = read_string(lexer);
    } else if (front[0] == '$' && front[1] == '{') {
        good = read_variable(lexer);
    } else if (strchr("={}()+,*", front[0]) != NULL) {
        token->kind = TOKEN_SYMBOL;
        lexer->at++;
    } else {
        good = read_word(lexer);
    }
    token->end = lexer->at;
    return good;
}

bool
lexer_is_symbol(const struct lexer *lexer, char symbol)
{
    return lexer->token.kind == TOKEN_SYMBOL && lexer->text[lexer->token.start] == symbol;
}

bool
lexer_is_text(const struct lexer *lexer)
{
    return lexer->token.kind == TOKEN_WORD || lexer->token.kind == TOKEN_STRING;
}

char *
lexer_token_text(const struct lexer *lexer)
{
    const size_t quotes = lexer->token.kind == TOKEN_STRING ? 1 : 0;
    const size_t size = lexer->token.end - lexer->token.start - 2 * quotes;
    return config_format("%.*s", (int)size, lexer->text + lexer->token.start + quotes);
}
