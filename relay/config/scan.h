/* relay/config/scan.h - the first look at a configuration file, before the parser library's.
 *
 * libconfuse 3.3 stops at the first thing it does not know, counts lines wrongly after a comment,
 * takes the end of the file for a closing brace, and puts nothing at all in place of an unset
 * ${VARIABLE}. So the text is gone over first: every unknown name is reported and taken out,
 * comments become blanks, and each ${…} outside single quotes is marked for config_expand. What is
 * left, the library reads without complaint and with the right lines. */
#ifndef RELAY_CONFIG_SCAN_H
#define RELAY_CONFIG_SCAN_H

#include <stdbool.h>

#include "relay/config/keys.h"
#include "relay/config/problem.h"

struct config_section {
    enum config_scope scope;
    char *title; /* NULL for a scope without names */
    unsigned line;
    unsigned last_line;
};

struct config_scan {
    struct config_section *sections; /* [0] is the global scope */
    size_t count;
    /* The structure could not be followed to the end: what is missing may only not have been seen. */
    bool broken;
};

/* `text` is changed in place and may grow by one byte: there must be room for that. */
void config_scan_text(char *text, struct config_problems *problems, struct config_scan *ret_scan);
void config_scan_done(struct config_scan *scan);

/* What comes before words about a section: `source "orders": `, `binding: `, or nothing. A new string. */
char *config_section_place(const struct config_section *section);

#endif
