#include "relay/config/tls.h"

#include "base/file.h"
#include "base/net/local.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"

/* What stands in the file itself: a value from the environment is nobody else's to read there. */
static void
check_inline(struct config_load *load, size_t section, const char *key, const char *name)
{
    const struct config_entry *const entry = config_load_entry(load, section, key);
    if (entry != NULL && !entry->from_environment && file_is_public(load->problems.path)) {
        config_warn(&load->config->warnings,
                    "the %s of \"%s\" has a password in it, and %s may be read by everybody: chmod "
                    "o-r it, or put the password into a password_file",
                    key, name, load->problems.path);
    }
}

void
config_tls_check_broker(struct config_load *load, size_t section)
{
    const struct broker_config *const broker = load->targets[section];
    const struct amqp_endpoint *const endpoint = &broker->endpoint;
    struct config *const config = load->config;
    char host[LOCAL_HOST_BYTES];
    for (unsigned i = 0; i < endpoint->host_count && !endpoint->tls; i++) {
        if (local_find_remote(endpoint->hosts[i].name, host)) {
            config_warn(&config->advice,
                        "broker \"%s\": no TLS to %s, which is not this machine: who is on the way "
                        "can read and change all, the password included; use amqps://",
                        broker->name, host);
            break;
        }
    }
    if (endpoint->tls && !endpoint->tls_verify) {
        config_warn(&config->warnings,
                    "broker \"%s\": verify=verify_none: anybody on the way can pretend to be the "
                    "broker",
                    broker->name);
    }
    if (endpoint->external && endpoint->user_named) {
        config_warn(&config->advice,
                    "broker \"%s\": with auth_mechanism=external the broker takes the user from "
                    "the certificate; \"%s\" of the uri counts for nothing",
                    broker->name, endpoint->user);
    }
    if (endpoint->key_file != NULL) {
        config_secret_warn(endpoint->key_file, "the key file", &config->warnings);
    }
    if (endpoint->password != NULL) {
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
