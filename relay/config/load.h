/* relay/config/load.h - the state while a configuration file is loaded, for this room only: its sections, its values as
 * text, and the problems found so far. */
#ifndef RELAY_CONFIG_LOAD_H
#define RELAY_CONFIG_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/config/config.h"
#include "relay/config/keys.h"
#include "relay/config/problem.h"
#include "relay/config/scan.h"
#include "relay/config/value.h"

/* One "key = value", with variables replaced. */
struct config_entry {
    const struct config_key *key;
    size_t section; /* index */
    size_t before;  /* the entry before it in its section, plus 1; 0: none */
    unsigned line;
    bool from_environment; /* wholly or in part */
    char *value;           /* NULL: a variable is missing, which was reported */
};

struct config_load {
    struct config_problems problems;
    struct config_scan scan;
    struct config_entry *entries;
    size_t entry_count;
    size_t entry_room;
    size_t *last_entries; /* for each section its last entry, plus 1 */
    size_t section_count; /* of last_entries */
    size_t file;          /* the one that is being read */
    size_t included_count;
    struct config *config;
    struct config_context context; /* context for reading its values */
    size_t directory_file;         /* the file whose directory that has */
    void **targets;                /* for each section its struct in `config` */
};

/* Where in a beat (base/clock.h) the regular work of a source of this name is done: all sources of a relay at once would be a
 * burst of requests for the server that they share. */
uint64_t config_phase_us(const char *name);

/* The entry that gives `name` in the section, or NULL: then the default holds, or it was missing
 * and that was reported. */
const struct config_entry *config_load_entry(const struct config_load *load, size_t section,
                                             const char *name);

/* Adds a problem as `source "orders": words`. line 0: the line of the section. */
void config_load_problem(struct config_load *load, size_t section, unsigned line,
                         const char *format, ...) PRINTF_LIKE(4, 5);

/* check.c: checks that need the whole file: names that lead nowhere, two sources of one outbox, limits in the wrong
 * order. */
void config_check(struct config_load *load);

/* The broker that the section's key `broker` names; without the key *ret_broker stays as it is. */
void config_connect_broker(struct config_load *load, size_t section,
                           const struct broker_config **ret_broker);

/* topology.c: the same for a section `exchange`, `queue` or `binding`; does nothing for others. */
void config_check_topology(struct config_load *load, size_t section);

/* http.c: the same for a section `http`. */
void config_check_http(struct config_load *load, size_t section);

#endif
