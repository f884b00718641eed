/* relay/config/lexer.h - splits a configuration file into words and symbols with their lines, as libconfuse does. On
 * the way comments become blanks and ${...} outside single quotes is marked; no text changes its place or its line. */
#ifndef RELAY_CONFIG_LEXER_H
#define RELAY_CONFIG_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/config/problem.h"

/* Marks in the rewritten text, in place of "$" and of the "{" of a variable that is a whole value.
 */
#define CONFIG_MARK_WITHIN '\x01' /* \1{NAME} inside a string */
#define CONFIG_MARK_WHOLE '\x02'  /* "\2NAME" for an unquoted ${NAME} */

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_SYMBOL };

struct token {
    enum token_kind kind;
    size_t start; /* a string's quotes included */
    size_t end;
    unsigned line;
};

struct lexer {
    char *text; /* changed in place */
    size_t at;
    unsigned line;
    struct token token; /* the current one */
    struct config_problems *problems;
};

/* Reads the next token; false if it makes no sense, which was reported. */
bool lexer_next(struct lexer *lexer) MUST_CHECK;

bool lexer_is_symbol(const struct lexer *lexer, char symbol);
bool lexer_is_text(const struct lexer *lexer); /* a word or a string */

/* The current token without its quotes, as it stands in the file; a new string. */
char *lexer_token_text(const struct lexer *lexer);

/* Replaces everything in [start, end) except line feeds by blanks. */
void lexer_blank_out(struct lexer *lexer, size_t start, size_t end);

#endif
