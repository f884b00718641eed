/* relay/cli/databases.h - the databases of the sources that a command works on. A database that cannot be reached is
 * reported and left out; the others are still used. */
#ifndef RELAY_CLI_DATABASES_H
#define RELAY_CLI_DATABASES_H

#include "relay/cli/cli.h"
#include "relay/ports/admin.h"

struct cli_database {
    const struct source_config *source;
    struct admin *admin;
};

struct cli_databases {
    struct config *config;
    struct cli_database *databases;
    size_t count;
    bool named;         /* there are several sources, so output names the source */
    enum cli_exit exit; /* CLI_FAILED when one was left out */
};

/* Reads the configuration and connects. False with *ret_exit if no database can be used. source NULL: all. */
bool cli_databases_open(const struct cli_command *command, const char *config_path,
                        const char *source, struct cli_databases *ret_databases,
                        enum cli_exit *ret_exit) MUST_CHECK;
void cli_databases_close(struct cli_databases *databases);

/* 'source "orders"' as a heading, when there are several. */
void cli_databases_heading(const struct cli_databases *databases,
                           const struct cli_database *database);

/* 'source "orders": ' before a sentence, likewise. */
void cli_databases_prefix(const struct cli_databases *databases,
                          const struct cli_database *database);

#endif
