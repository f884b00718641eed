/* relay/config/scan.h - the first look at a configuration file, before the parser library's.
 *
 * libconfuse 3.3 stops at the first unknown name, counts lines wrongly after a comment, takes the end of the file for a
 * closing brace, and replaces an unset ${VARIABLE} by nothing. So the text is prepared first: every unknown name is
 * reported and removed, comments become blanks, and each ${…} outside single quotes is marked for config_expand. The
 * library reads the rest without errors and with the right lines. */
#ifndef RELAY_CONFIG_SCAN_H
#define RELAY_CONFIG_SCAN_H

#include <stdbool.h>

#include "relay/config/keys.h"
#include "relay/config/problem.h"

struct config_section {
    enum config_scope scope;
    char *title; /* NULL for a scope without names */
    size_t file; /* index of its file: problem.h */
    unsigned line;
    unsigned last_line;
};

struct config_scan {
    struct config_section *sections; /* [0] is the global scope */
    size_t count;
    /* The structure was not understood to the end: a key that seems to be missing may only not have been seen. */
    bool broken;
};

/* Adds the sections of the file of which `problems` are now to `scan`, which begins as {0}. Any file but the first has
 * sections alone. `text` is changed in place and may grow by one byte: there must be room for that. */
void config_scan_text(char *text, struct config_problems *problems, struct config_scan *scan);
void config_scan_done(struct config_scan *scan);

/* The beginning of a message about a section */
char *config_section_place(const struct config_section *section);

#endif
