#include "amqp/uri.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define PORT_PLAIN 5672
#define PORT_TLS 5671
#define NAME_MAX_BYTES 64 /* longer than any query name there is */

/* A piece of the URI's text. Nothing of it is ever quoted in an error before it is certain that
 * it is no password. */
struct piece {
    const char *at;
    size_t size;
};

void
amqp_endpoint_done(struct amqp_endpoint *endpoint)
{
    for (unsigned i = 0; i < AMQP_HOSTS_MAX; i++) {
        free(endpoint->hosts[i].name);
    }
    if (endpoint->password != NULL) {
        explicit_bzero(endpoint->password, strlen(endpoint->password));
    }
    free(endpoint->user);
    free(endpoint->password);
    free(endpoint->vhost);
    free(endpoint->ca_file);
    free(endpoint->cert_file);
    free(endpoint->key_file);
    free(endpoint->server_name);
    *endpoint = (struct amqp_endpoint){0};
}

static bool
fail(struct error *reterr, const char *words)
{
    return error_set(reterr, ERROR_CONFIG, "broker URI: %s", words);
}

static int
hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    const char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Undoes percent-encoding into new memory; replaces *ret_text. */
static bool
decode(struct piece piece, char **ret_text, struct error *reterr)
{
    char *text = malloc(piece.size + 1);
    if (text == NULL) {
        return error_set(reterr, ERROR_TRANSIENT, "out of memory");
    }
    size_t length = 0;
    for (size_t i = 0; i < piece.size; i++) {
        char byte = piece.at[i];
        if (byte == '%') {
            const int high = i + 2 < piece.size ? hex_digit(piece.at[i + 1]) : -1;
            const int low = high >= 0 ? hex_digit(piece.at[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                free(text);
                return fail(reterr, "a '%' must be followed by two hexadecimal digits, not 00");
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        text[length++] = byte;
    }
    text[length] = '\0';
    free(*ret_text);
    *ret_text = text;
    return true;
}

/* Cuts what stands before the first `mark` off the front; all of it if there is none. */
static struct piece
cut(struct piece *rest, char mark)
{
    const char *found = memchr(rest->at, mark, rest->size);
    const struct piece front = {rest->at, found != NULL ? (size_t)(found - rest->at) : rest->size};
    const size_t used = front.size + (found != NULL ? 1 : 0);
    *rest = (struct piece){rest->at + used, rest->size - used};
    return front;
}

static bool
parse_number(struct piece piece, uint64_t max, uint64_t *ret_number)
{
    if (piece.size == 0 || piece.size > 19) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < piece.size; i++) {
        if (piece.at[i] < '0' || piece.at[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(piece.at[i] - '0');
    }
    if (number > max) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool
parse_userinfo(struct piece userinfo, struct amqp_endpoint *endpoint, struct error *reterr)
{
    const bool has_password = memchr(userinfo.at, ':', userinfo.size) != NULL;
    const struct piece user = cut(&userinfo, ':');
    if (user.size == 0) {
        return fail(reterr, "the user name before '@' is empty");
    }
    endpoint->user_named = true;
    return decode(user, &endpoint->user, reterr) &&
           (!has_password || decode(userinfo, &endpoint->password, reterr));
}

/* [address] or name; what is left is empty or starts with a colon. */
static bool
cut_host_name(struct piece *text, struct piece *ret_name)
{
    if (text->size > 0 && text->at[0] == '[') {
        const char *end = memchr(text->at, ']', text->size);
        if (end == NULL) {
            return false;
        }
        *ret_name = (struct piece){text->at + 1, (size_t)(end - text->at) - 1};
        const size_t used = ret_name->size + 2;
        *text = (struct piece){text->at + used, text->size - used};
        return ret_name->size > 0 && (text->size == 0 || text->at[0] == ':');
    }
    const char *colon = memchr(text->at, ':', text->size);
    *ret_name = (struct piece){text->at, colon != NULL ? (size_t)(colon - text->at) : text->size};
    *text = (struct piece){text->at + ret_name->size, text->size - ret_name->size};
    return ret_name->size > 0;
}

static bool
parse_host(struct piece text, struct amqp_endpoint *endpoint, struct error *reterr)
{
    if (endpoint->host_count == AMQP_HOSTS_MAX) {
        return fail(reterr, "it names more than 16 hosts");
    }
    struct amqp_host *host = &endpoint->hosts[endpoint->host_count++];
    struct piece name;
    if (!cut_host_name(&text, &name)) {
        return fail(reterr, "a host is empty, or a '[' without its ']'");
    }
    uint64_t port = endpoint->tls ? PORT_TLS : PORT_PLAIN;
    if (text.size > 0 &&
        (!parse_number((struct piece){text.at + 1, text.size - 1}, UINT16_MAX, &port) ||
         port == 0)) {
        return fail(reterr, "a port must be a number from 1 to 65535");
    }
    host->port = (uint16_t)port;
    return decode(name, &host->name, reterr);
}

static bool
parse_authority(struct piece authority, struct amqp_endpoint *endpoint, struct error *reterr)
{
    const char *at = memrchr(authority.at, '@', authority.size);
    if (at != NULL) {
        const struct piece userinfo = {authority.at, (size_t)(at - authority.at)};
        if (!parse_userinfo(userinfo, endpoint, reterr)) {
            return false;
        }
        authority = (struct piece){at + 1, authority.size - userinfo.size - 1};
    }
    if (authority.size == 0) {
        const struct piece localhost = {"localhost", strlen("localhost")};
        return parse_host(localhost, endpoint, reterr);
    }
    const char *const end = authority.at + authority.size;
    do {
        if (!parse_host(cut(&authority, ','), endpoint, reterr)) {
            return false;
        }
    } while (authority.size > 0);
    return end[-1] != ',' || fail(reterr, "a host is missing after a comma");
}

static bool
same(struct piece piece, const char *text)
{
    return strlen(text) == piece.size && strncasecmp(piece.at, text, piece.size) == 0;
}

static bool
set_verify(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr)
{
    if (!same(value, "verify_peer") && !same(value, "verify_none")) {
        return fail(reterr, "verify must be verify_peer or verify_none");
    }
    endpoint->tls_verify = same(value, "verify_peer");
    return true;
}

static bool
set_mechanism(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr)
{
    if (!same(value, "plain") && !same(value, "external")) {
        return fail(reterr, "auth_mechanism must be plain or external");
    }
    endpoint->external = same(value, "external");
    return true;
}

static bool
set_heartbeat(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr)
{
    uint64_t number;
    if (!parse_number(value, UINT16_MAX, &number)) {
        return fail(reterr, "heartbeat must be a number of seconds from 0 to 65535");
    }
    endpoint->heartbeat_set = true;
    endpoint->heartbeat_s = (uint16_t)number;
    return true;
}

static bool
set_timeout(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr)
{
    uint64_t number;
    if (!parse_number(value, UINT32_MAX, &number)) {
        return fail(reterr, "connection_timeout must be a number of milliseconds");
    }
    endpoint->connect_timeout_us = number * CLOCK_MS_US;
    return true;
}

static bool
set_ca_file(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr)
{
    return decode(value, &endpoint->ca_file, reterr);
}

static bool
set_cert_file(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr)
{
    return decode(value, &endpoint->cert_file, reterr);
}

static bool
set_key_file(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr)
{
    return decode(value, &endpoint->key_file, reterr);
}

static bool
set_server_name(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr)
{
    return decode(value, &endpoint->server_name, reterr);
}

static const struct query_name {
    const char *name;
    bool tls_only;
    bool (*set)(struct amqp_endpoint *endpoint, struct piece value, struct error *reterr);
} query_names[] = {
    {"cacertfile", true, set_ca_file},
    {"certfile", true, set_cert_file},
    {"keyfile", true, set_key_file},
    {"verify", true, set_verify},
    {"server_name_indication", true, set_server_name},
    {"auth_mechanism", false, set_mechanism},
    {"heartbeat", false, set_heartbeat},
    {"connection_timeout", false, set_timeout},
};
#define QUERY_NAME_COUNT (sizeof(query_names) / sizeof(query_names[0]))

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
    const unsigned lower = a < b ? a : b;
    return lower < c ? lower : c;
}

/* How many letters must be put in, taken out or changed (Levenshtein). */
static unsigned
distance(struct piece typed, const char *known)
{
    const size_t length = strlen(known);
    unsigned row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= length; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= typed.size; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= length; j++) {
            const unsigned changed = diagonal + (typed.at[i - 1] != known[j - 1] ? 1 : 0);
            diagonal = row[j];
            row[j] = least(row[j] + 1, row[j - 1] + 1, changed);
        }
    }
    return row[length];
}

static bool
unknown_name(struct piece name, struct error *reterr)
{
    if (name.size == 0 || name.size > NAME_MAX_BYTES) {
        return fail(reterr, "a name in the query is empty or far too long");
    }
    const char *nearest = query_names[0].name;
    for (size_t i = 1; i < QUERY_NAME_COUNT; i++) {
        if (distance(name, query_names[i].name) < distance(name, nearest)) {
            nearest = query_names[i].name;
        }
    }
    return error_set(reterr, ERROR_CONFIG,
                     "broker URI: unknown query name '%.*s', did you mean '%s'?", (int)name.size,
                     name.at, nearest);
}

static bool
parse_parameter(struct piece parameter, struct amqp_endpoint *endpoint, struct error *reterr)
{
    const struct piece name = cut(&parameter, '=');
    for (size_t i = 0; i < QUERY_NAME_COUNT; i++) {
        if (!same(name, query_names[i].name)) {
            continue;
        }
        if (query_names[i].tls_only && !endpoint->tls) {
            return error_set(reterr, ERROR_CONFIG, "broker URI: %s needs amqps://",
                             query_names[i].name);
        }
        if (parameter.size == 0) {
            return error_set(reterr, ERROR_CONFIG, "broker URI: %s has no value",
                             query_names[i].name);
        }
        return query_names[i].set(endpoint, parameter, reterr);
    }
    return unknown_name(name, reterr);
}

static bool
parse_query(struct piece query, struct amqp_endpoint *endpoint, struct error *reterr)
{
    while (query.size > 0) {
        if (!parse_parameter(cut(&query, '&'), endpoint, reterr)) {
            return false;
        }
    }
    if ((endpoint->cert_file == NULL) != (endpoint->key_file == NULL)) {
        return fail(reterr, "certfile and keyfile come together");
    }
    if (endpoint->external && endpoint->cert_file == NULL) {
        return fail(reterr, "auth_mechanism=external needs amqps://, certfile and keyfile");
    }
    return true;
}

/* By RabbitMQ's rule the vhost of "amqp://host/" is the empty one, which no broker has; people who write it mean "/". */
static bool
parse_vhost(struct piece path, struct amqp_endpoint *endpoint, struct error *reterr)
{
    if (memchr(path.at, '/', path.size) != NULL) {
        return fail(reterr, "a '/' in the vhost must be written %2f");
    }
    static const struct piece root = {"/", 1};
    if (!decode(path.size > 0 ? path : root, &endpoint->vhost, reterr)) {
        return false;
    }
    return strlen(endpoint->vhost) <= 255 || fail(reterr, "the vhost is over 255 bytes");
}

static bool
parse_scheme(struct piece *rest, struct amqp_endpoint *endpoint, struct error *reterr)
{
    static const char *const schemes[] = {"amqp://", "amqps://"};
    for (size_t i = 0; i < 2; i++) {
        const size_t length = strlen(schemes[i]);
        if (rest->size >= length && strncasecmp(rest->at, schemes[i], length) == 0) {
            endpoint->tls = i == 1;
            *rest = (struct piece){rest->at + length, rest->size - length};
            return true;
        }
    }
    return fail(reterr, "it must start with amqp:// or amqps://");
}

static struct piece
cut_authority(struct piece *rest)
{
    size_t size = 0;
    while (size < rest->size && rest->at[size] != '/' && rest->at[size] != '?') {
        size++;
    }
    const struct piece authority = {rest->at, size};
    *rest = (struct piece){rest->at + size, rest->size - size};
    return authority;
}

static bool
parse(struct piece rest, struct amqp_endpoint *endpoint, struct error *reterr)
{
    if (!parse_scheme(&rest, endpoint, reterr)) {
        return false;
    }
    const struct piece authority = cut_authority(&rest);
    /* Most likely a password with '/' or '?' in it: refused, lest its end be shown as a host or
     * a query name. */
    if (memchr(rest.at, '@', rest.size) != NULL) {
        return fail(reterr, "an '@' after the host; in user, password, vhost and values "
                            "write / as %2f, ? as %3f, @ as %40");
    }
    if (!parse_authority(authority, endpoint, reterr)) {
        return false;
    }
    struct piece path = cut(&rest, '?');
    if (path.size > 0) {
        path = (struct piece){path.at + 1, path.size - 1};
    }
    if (!parse_vhost(path, endpoint, reterr) || !parse_query(rest, endpoint, reterr)) {
        return false;
    }
    static const struct piece guest = {"guest", 5};
    return endpoint->user != NULL || decode(guest, &endpoint->user, reterr);
}

bool
amqp_uri_parse(const char *text, struct amqp_endpoint *ret_endpoint, struct error *reterr)
{
    struct amqp_endpoint endpoint = {.tls_verify = true};
    if (!parse((struct piece){text, strlen(text)}, &endpoint, reterr)) {
        amqp_endpoint_done(&endpoint);
        return false;
    }
    *ret_endpoint = endpoint;
    return true;
}

struct tls_files
amqp_endpoint_tls_files(const struct amqp_endpoint *endpoint)
{
    return (struct tls_files){
        .ca_name = "cacertfile",
        .ca = endpoint->ca_file,
        .cert_name = "certfile",
        .cert = endpoint->cert_file,
        .key_name = "keyfile",
        .key = endpoint->key_file,
        .peer_name = "the broker",
        .host_name = "server_name_indication",
    };
}
