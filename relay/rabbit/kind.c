#include "relay/rabbit/kind.h"

#include <string.h>

#include "base/memory.h"
#include "base/net/local.h"
#include "base/net/tls.h"
#include "relay/config/config.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"
#include "relay/rabbit/endpoint.h"

/* Resolves a file name against the directory of the configuration. */
static void
anchor(char **file, const char *directory)
{
    if (*file != NULL) {
        char *const full = config_path(*file, directory);
        memory_free(*file);
        *file = full;
    }
}

static bool
endpoint_new(const char *uri, const char *directory, struct broker_endpoint **ret_endpoint,
             struct error *reterr)
{
    struct amqp_endpoint amqp;
    if (!amqp_uri_parse(uri, &amqp, reterr)) {
        return false;
    }
    anchor(&amqp.ca_file, directory);
    anchor(&amqp.cert_file, directory);
    anchor(&amqp.key_file, directory);
    const struct tls_files files = amqp_endpoint_tls_files(&amqp);
    if (amqp.tls && !tls_files_check(&files, reterr)) {
        amqp_endpoint_done(&amqp);
        return false;
    }
    *ret_endpoint = memory_array(1, sizeof(**ret_endpoint));
    (*ret_endpoint)->uri = memory_string(uri);
    (*ret_endpoint)->amqp = amqp;
    return true;
}

static void
endpoint_free(struct broker_endpoint *endpoint)
{
    if (endpoint != NULL) {
        config_secret_free(endpoint->uri);
        amqp_endpoint_done(&endpoint->amqp);
        memory_free(endpoint);
    }
}

static bool
same_file(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The URI has names of files, which depend on the file in which it stands. */
static bool
endpoint_same(const struct broker_endpoint *a, const struct broker_endpoint *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return strcmp(a->uri, b->uri) == 0 && same_file(a->amqp.ca_file, b->amqp.ca_file) &&
           same_file(a->amqp.cert_file, b->amqp.cert_file) &&
           same_file(a->amqp.key_file, b->amqp.key_file);
}

static void
advise(const struct broker_config *broker, struct config_warnings *warnings,
       struct config_warnings *advice)
{
    const struct amqp_endpoint *const endpoint = &broker->endpoint->amqp;
    char host[LOCAL_HOST_BYTES];
    for (unsigned i = 0; i < endpoint->host_count && !endpoint->tls; i++) {
        if (local_find_remote(endpoint->hosts[i].name, host)) {
            config_warn(advice,
                        "broker \"%s\": no TLS to %s, which is not this machine: who is on the way "
                        "can read and change all, the password included; use amqps://",
                        broker->name, host);
            break;
        }
    }
    if (endpoint->tls && !endpoint->tls_verify) {
        config_warn(warnings,
                    "broker \"%s\": verify=verify_none: anybody on the way can pretend to be the "
                    "broker",
                    broker->name);
    }
    if (endpoint->external && endpoint->user_named) {
        config_warn(advice,
                    "broker \"%s\": with auth_mechanism=external the broker takes the user from "
                    "the certificate; \"%s\" of the uri counts for nothing",
                    broker->name, endpoint->user);
    }
    if (endpoint->key_file != NULL) {
        config_secret_warn(endpoint->key_file, "the key file", warnings);
    }
}

static bool
has_password(const struct broker_endpoint *endpoint)
{
    return endpoint->amqp.password != NULL;
}

const struct broker_kind broker_rabbit = {
    .endpoint_new = endpoint_new,
    .endpoint_free = endpoint_free,
    .endpoint_same = endpoint_same,
    .advise = advise,
    .has_password = has_password,
};
