/* relay/cli/templates.h - the tenants of templates, for commands: the database is asked now, as a running relay would. */
#ifndef RELAY_CLI_TEMPLATES_H
#define RELAY_CLI_TEMPLATES_H

#include "relay/config/config.h"

struct report;

struct cli_templates_teller {
    /* How many tenants a template has, and each thing that is wrong: a query that fails, a tenant without a source. */
    void (*found)(void *context, const char *template, size_t tenants);
    void (*problem)(void *context, const char *template, const char *words);
    void *context;
};

/* The configuration with a source for each tenant. only: the name of the one source that is wanted, so that no template
 * is asked that cannot have it; NULL: all are. For config_free. */
struct config *cli_templates_expand(struct config *loaded, const char *only,
                                    const struct cli_templates_teller *teller);

/* The same for a command that reports: whatever is wrong is a problem of its report. */
struct config *cli_templates_report(struct config *loaded, struct report *report);

#endif
