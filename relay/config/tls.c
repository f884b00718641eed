#include "relay/config/tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/dsn.h"
#include "base/file.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"

#define HOST_BYTES 256

static bool
ends_with(const char *text, const char *end)
{
    const size_t size = strlen(text);
    const size_t end_size = strlen(end);
    return size >= end_size && strcasecmp(text + size - end_size, end) == 0;
}

/* By its name alone, without asking anybody: sockets of the file system, "localhost" and what is below it (RFC 6761), and
 * the loopback's addresses. */
static bool
is_local(const char *host)
{
    struct in6_addr six;
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1) {
        return ntohl(four.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &six) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&six);
    }
    return host[0] == '\0' || host[0] == '/' || host[0] == '@' ||
           strcasecmp(host, "localhost") == 0 || ends_with(host, ".localhost");
}

/* The first of a list of hosts that is not this machine; false if all are. */
static bool
find_remote(const char *list, char ret_host[HOST_BYTES])
{
    while (list != NULL) {
        const size_t size = strcspn(list, ",");
        (void)snprintf(ret_host, HOST_BYTES, "%.*s", (int)size, list); /* cut is fine */
        if (!is_local(ret_host)) {
            return true;
        }
        list = list[size] == ',' ? list + size + 1 : NULL;
    }
    return false;
}

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

static void
check_key_file(struct config_load *load, const char *path)
{
    if (path != NULL) {
        config_secret_warn(path, "the key file", &load->config->warnings);
    }
}

void
config_tls_check_broker(struct config_load *load, size_t section)
{
    const struct broker_config *const broker = load->targets[section];
    const struct amqp_endpoint *const endpoint = &broker->endpoint;
    struct config *const config = load->config;
    char host[HOST_BYTES];
    for (unsigned i = 0; i < endpoint->host_count && !endpoint->tls; i++) {
        if (find_remote(endpoint->hosts[i].name, host)) {
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
    check_key_file(load, endpoint->key_file);
    if (endpoint->password != NULL) {
        check_inline(load, section, "uri", broker->name);
    }
}

/* As libpq does it: the string, else the environment. */
static const char *
value_or(const struct dsn *dsn, const char *name, const char *variable)
{
    const char *const value = dsn_value(dsn, name);
    return value != NULL ? value : getenv(variable);
}

static void
check_verification(struct config_load *load, const char *name, const struct dsn *dsn)
{
    const char *const given = value_or(dsn, "sslmode", "PGSSLMODE");
    const char *const mode = given == NULL ? "prefer" : given;
    const char *const address = value_or(dsn, "hostaddr", "PGHOSTADDR");
    const bool verifies = strncmp(mode, "verify-", strlen("verify-")) == 0;
    const bool encrypts = verifies || strcmp(mode, "require") == 0;
    const bool has_root = value_or(dsn, "sslrootcert", "PGSSLROOTCERT") != NULL;
    char host[HOST_BYTES];
    if (has_root && !encrypts) {
        config_warn(&load->config->warnings,
                    "source \"%s\": sslrootcert with sslmode=%s%s: when the certificate is not "
                    "good, libpq goes on in plain text, the password included; use "
                    "sslmode=verify-full",
                    name, mode, given == NULL ? " (which nobody set)" : "");
    } else if (!find_remote(address != NULL ? address : value_or(dsn, "host", "PGHOST"), host)) {
        return;
    } else if (!encrypts) {
        config_warn(&load->config->advice,
                    "source \"%s\": sslmode=%s%s to %s, which is not this machine: who is on the "
                    "way can make it plain text, and read and change all; use sslmode=verify-full "
                    "and sslrootcert",
                    name, mode, given == NULL ? " (libpq's default)" : "", host);
    } else if (!verifies && !has_root) {
        config_warn(&load->config->advice,
                    "source \"%s\": sslmode=require verifies nobody: anybody on the way to %s can "
                    "pretend to be the database; use sslmode=verify-full and sslrootcert",
                    name, host);
    }
}

void
config_tls_check_source(struct config_load *load, size_t section)
{
    const struct source_config *const source = load->targets[section];
    struct dsn dsn;
    if (source->dsn == NULL || !dsn_parse(source->dsn, &dsn, NULL)) {
        return; /* reported */
    }
    if (dsn_value(&dsn, "service") == NULL) { /* what a service says, libpq alone knows */
        check_verification(load, source->name, &dsn);
    }
    check_key_file(load, dsn_file(&dsn, "sslkey"));
    if (dsn_value(&dsn, "password") != NULL || dsn_value(&dsn, "sslpassword") != NULL) {
        check_inline(load, section, "dsn", source->name);
    }
    dsn_done(&dsn);
}
