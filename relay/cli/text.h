/* relay/cli/text.h - what only a terminal needs of texts; what else there is: relay/api/text.h. */
#ifndef RELAY_CLI_TEXT_H
#define RELAY_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* How many columns a clean text takes, one for each character. */
size_t cli_text_columns(const char *text);

/* "00000000  68 65 6c 6c 6f 00 …  |hello.…|", 16 bytes a line. */
void cli_text_dump(FILE *out, const uint8_t *bytes, size_t size);

/* Writes one line of a report to `out`, a FILE *: "ok words". The words may have a server's text, and so anything: it
 * is cleaned, and cannot begin a line. For `tell` of struct report (relay/ports/report.h). */
void cli_text_line(void *out, const char *word, const char *words);

#endif
