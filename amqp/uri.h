/* amqp/uri.h - where a broker is:
 * amqp[s]://user[:password]@host[:port][,host[:port]…]/vhost[?name=value&…]
 *
 * The scheme, defaults and query names are RabbitMQ's own (https://www.rabbitmq.com/docs/uri-spec
 * and uri-query-parameters): cacertfile, certfile, keyfile, verify (verify_peer, the default, or
 * verify_none), server_name_indication, auth_mechanism (plain or external), heartbeat (seconds),
 * connection_timeout (milliseconds). Several hosts, as librabbitmq has none, follow libpq: a comma
 * between them. */
#ifndef AMQP_URI_H
#define AMQP_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net/tls.h"

#define AMQP_HOSTS_MAX 16

struct amqp_host {
    char *name; /* a name or an address, IPv6 without brackets */
    uint16_t port;
};

struct amqp_endpoint {
    struct amqp_host hosts[AMQP_HOSTS_MAX];
    unsigned host_count; /* 1 or more */
    char *user;          /* "guest" if the URI names none */
    bool user_named;
    char *password; /* NULL if the URI names none */
    char *vhost;
    bool tls;
    bool tls_verify; /* true unless verify=verify_none */
    char *ca_file;   /* NULL: the system's certificates */
    char *cert_file;
    char *key_file;
    char *server_name; /* NULL: the host's name */
    bool external;
    bool heartbeat_set;
    uint16_t heartbeat_s;
    uint64_t connect_timeout_us; /* 0: not named */
};

/* Reads `text`. On failure *ret_endpoint is untouched and the text of *reterr says what is wrong
 * without showing a password. */
bool amqp_uri_parse(const char *text, struct amqp_endpoint *ret_endpoint,
                    struct error *reterr) MUST_CHECK;
void amqp_endpoint_done(struct amqp_endpoint *endpoint);

/* What its certificates are, by the names that the query has for them. Points into the endpoint. */
struct tls_files amqp_endpoint_tls_files(const struct amqp_endpoint *endpoint);

#endif
