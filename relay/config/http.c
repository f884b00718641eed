#include "base/listen.h"
#include "base/memory.h"
#include "relay/config/load.h"

static void
check_alone(struct config_load *load, size_t section)
{
    for (size_t i = 0; i < section; i++) {
        const struct config_section *const other = &load->scan.sections[i];
        if (other->scope == CONFIG_HTTP) {
            char *const where = config_problems_line(&load->problems, other->file, other->line);
            config_load_problem(load, section, 0, "there is one in %s already", where);
            memory_free(where);
            return;
        }
    }
}

static unsigned
line_of(const struct config_load *load, size_t section, const char *key)
{
    const struct config_entry *const entry = config_load_entry(load, section, key);
    return entry == NULL ? 0 : entry->line;
}

static bool
is_given(const struct config_load *load, size_t section, const char *key)
{
    return config_load_entry(load, section, key) != NULL;
}

static void
check_tls(struct config_load *load, size_t section)
{
    const bool cert = is_given(load, section, "tls_cert");
    if (cert != is_given(load, section, "tls_key")) {
        config_load_problem(load, section, line_of(load, section, cert ? "tls_cert" : "tls_key"),
                            "%s needs %s", cert ? "tls_cert" : "tls_key",
                            cert ? "tls_key" : "tls_cert");
    }
}

/* What leaves the machine in clear text can be read on its way, and a token taken from it. */
static void
check_reach(struct config_load *load, size_t section)
{
    const struct http_config *const http = load->targets[section];
    struct listen_address address;
    struct error error;
    if (http->behind_proxy || is_given(load, section, "tls_cert") ||
        !listen_parse(http->listen, &address, &error) || address.loopback) {
        return;
    }
    config_load_problem(
        load, section, line_of(load, section, "listen"),
        "listen = %s is reached from other machines, and without TLS: give tls_cert "
        "and tls_key; or behind_proxy = true, if only a proxy that does TLS reaches "
        "it; or listen on 127.0.0.1",
        http->listen);
}

void
config_check_http(struct config_load *load, size_t section)
{
    check_alone(load, section);
    check_tls(load, section);
    check_reach(load, section);
}
