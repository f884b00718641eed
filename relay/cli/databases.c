#include "relay/cli/databases.h"

#include <stdio.h>

#include "base/memory.h"
#include "relay/api/text.h"
#include "relay/cli/templates.h"

static void
connect_all(struct cli_databases *databases, const struct cli_sources *sources)
{
    databases->databases = memory_array(sources->count, sizeof(*databases->databases));
    for (size_t i = 0; i < sources->count; i++) {
        struct error error;
        struct admin *const admin =
            sources->sources[i].kind->admin_open(&sources->sources[i], &error);
        if (admin == NULL) {
            databases->exit = cli_source_failed(&sources->sources[i], &error);
        } else {
            databases->databases[databases->count++] =
                (struct cli_database){&sources->sources[i], admin};
        }
    }
}

static void
ignore_found(void *context, const char *template, size_t tenants)
{
    (void)context;  /* each tenant is shown as a source */
    (void)template; /* as above */
    (void)tenants;  /* as above */
}

static void
on_problem(void *context, const char *template, const char *words)
{
    enum cli_exit *const exit = context;
    char *const clean = api_text_clean(words); /* a server's words may be in it */
    (void)fprintf(stderr, "source \"%s\": %s\n", template, clean); /* nowhere else to say it */
    memory_free(clean);
    *exit = CLI_FAILED;
}

bool
cli_databases_open(const struct cli_command *command, const char *config_path, const char *source,
                   struct cli_databases *ret_databases, enum cli_exit *ret_exit)
{
    struct cli_sources sources;
    struct cli_databases databases = {.exit = CLI_DONE};
    struct config *const loaded = cli_config(command, config_path, ret_exit);
    if (loaded == NULL) {
        return false;
    }
    const struct cli_templates_teller teller = {ignore_found, on_problem, &databases.exit};
    databases.config = cli_templates_expand(loaded, source, &teller);
    config_free(loaded);
    if (!cli_sources(command, databases.config, source, &sources, ret_exit)) {
        config_free(databases.config);
        return false;
    }
    databases.named = sources.count > 1;
    connect_all(&databases, &sources);
    if (databases.count == 0) {
        *ret_exit = databases.exit;
        cli_databases_close(&databases);
        return false;
    }
    *ret_databases = databases;
    return true;
}

void
cli_databases_close(struct cli_databases *databases)
{
    for (size_t i = 0; i < databases->count; i++) {
        admin_close(databases->databases[i].admin);
    }
    memory_free(databases->databases);
    config_free(databases->config);
}

void
cli_databases_heading(const struct cli_databases *databases, const struct cli_database *database)
{
    if (databases->named) {
        (void)printf("%ssource \"%s\"\n", database == databases->databases ? "" : "\n",
                     database->source->name); /* a reader who went away needs no answer */
    }
}

void
cli_databases_prefix(const struct cli_databases *databases, const struct cli_database *database)
{
    if (databases->named) {
        (void)printf("source \"%s\": ", database->source->name); /* as above */
    }
}
