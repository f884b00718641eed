#include "relay/config/tls.h"

#include "base/file.h"
#include "relay/config/value.h"

/* Warns of a password in a readable configuration file; a value from the environment is not in the file. */
static void
check_inline(struct config_load *load, size_t section, const char *key, const char *name)
{
    const struct config_entry *const entry = config_load_entry(load, section, key);
    const char *const path = load->problems.paths[load->scan.sections[section].file];
    if (entry != NULL && !entry->from_environment && file_is_public(path)) {
        config_warn(&load->config->warnings,
                    "the %s of \"%s\" has a password in it, and %s may be read by everybody: chmod "
                    "o-r it, or put the password into a password_file",
                    key, name, path);
    }
}

void
config_tls_check_broker(struct config_load *load, size_t section)
{
    const struct broker_config *const broker = load->targets[section];
    struct config *const config = load->config;
    if (broker->endpoint == NULL) {
        return; /* reported */
    }
    broker->kind->advise(broker, &config->warnings, &config->advice);
    if (broker->kind->has_password(broker->endpoint)) {
        check_inline(load, section, "uri", broker->name);
    }
}

void
config_tls_check_source(struct config_load *load, size_t section)
{
    const struct source_config *const source = load->targets[section];
    struct config *const config = load->config;
    if (source->dsn == NULL) {
        return; /* reported */
    }
    source->kind->dsn_advise(source, &config->warnings, &config->advice);
    if (source->kind->dsn_has_password(source->dsn)) {
        check_inline(load, section, "dsn", source->name);
    }
}
