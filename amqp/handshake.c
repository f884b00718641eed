/* The beginning and the end of a connection: channel 0's methods. */
#include <stdlib.h>
#include <string.h>

#include "amqp/connection_private.h"
#include "amqp/rabbitmq_c.h"
#include "amqp/wire.h"
#include "base/clock.h"

#ifndef AMQP_CLIENT_VERSION
#define AMQP_CLIENT_VERSION "0"
#endif

#define TEXT_MAX 300

/* A reply text for people: what is not printable becomes '?'. */
static void
readable(amqp_bytes_t text, char ret_text[TEXT_MAX])
{
    const size_t size = text.len < TEXT_MAX - 1 ? text.len : TEXT_MAX - 1;
    const unsigned char *from = text.bytes;
    for (size_t i = 0; i < size; i++) {
        ret_text[i] = (char)(from[i] < 0x20 || from[i] == 0x7f ? '?' : from[i]);
    }
    ret_text[size] = '\0';
}

static bool
offers(struct span mechanisms, const char *wanted)
{
    const char *at = mechanisms.data;
    const char *const end = at + mechanisms.size;
    const size_t length = strlen(wanted);
    while (at < end) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *stop = space != NULL ? space : end;
        if ((size_t)(stop - at) == length && memcmp(at, wanted, length) == 0) {
            return true;
        }
        at = stop + 1;
    }
    return false;
}

static amqp_table_entry_t
text_entry(const char *key, const char *text)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)},
    };
}

static amqp_table_entry_t
true_entry(const char *key)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1},
    };
}

static amqp_table_entry_t
table_entry(const char *key, amqp_table_t table)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = table},
    };
}

/* What we understand. Without connection.blocked and consumer_cancel_notify here the broker
 * stays silent about both; amqp_login() leaves them out. */
static int
client_capabilities(amqp_table_entry_t *entries)
{
    static const char *const names[] = {
        "publisher_confirms",         "basic.nack",
        "connection.blocked",         "consumer_cancel_notify",
        "exchange_exchange_bindings", "authentication_failure_close",
    };
    const int count = (int)(sizeof(names) / sizeof(names[0]));
    for (int i = 0; i < count; i++) {
        entries[i] = true_entry(names[i]);
    }
    return count;
}

static void
append_start_ok(struct rabbit *rabbit, amqp_bytes_t response)
{
    amqp_table_entry_t capabilities[8];
    const amqp_table_t capability_table = {client_capabilities(capabilities), capabilities};
    amqp_table_entry_t properties[] = {
        text_entry("product", "outbox-relay"),
        text_entry("version", AMQP_CLIENT_VERSION),
        text_entry("connection_name", rabbit->name),
        table_entry("capabilities", capability_table),
    };
    const amqp_connection_start_ok_t start_ok = {
        .client_properties = {(int)(sizeof(properties) / sizeof(properties[0])), properties},
        .mechanism = amqp_cstring_bytes(rabbit->external ? "EXTERNAL" : "PLAIN"),
        .response = response,
        .locale = amqp_cstring_bytes("en_US"),
    };
    const size_t room = METHOD_ROOM + strlen(rabbit->name) + response.len;
    if (!codec_append(&rabbit->output, 0, AMQP_CONNECTION_START_OK_METHOD, &start_ok, room)) {
        connection_fail(rabbit, ERROR_TRANSIENT, "out of memory");
    }
}

/* PLAIN (RFC 4616): NUL user NUL password. EXTERNAL: nothing, the certificate says who we are. */
static void
send_start_ok(struct rabbit *rabbit)
{
    if (rabbit->external) {
        append_start_ok(rabbit, amqp_cstring_bytes(""));
        return;
    }
    const size_t user = strlen(rabbit->user);
    const size_t password = strlen(rabbit->password);
    char *response = malloc(user + password + 3);
    if (response == NULL) {
        connection_fail(rabbit, ERROR_TRANSIENT, "out of memory");
        return;
    }
    response[0] = '\0';
    memcpy(response + 1, rabbit->user, user + 1);
    memcpy(response + user + 2, rabbit->password, password + 1);
    append_start_ok(rabbit, (amqp_bytes_t){.len = user + password + 2, .bytes = response});
    explicit_bzero(response, user + password + 3);
    free(response);
}

/* By hand: rabbitmq-c would follow the server's properties, tables in tables, by recursion. */
static void
on_start(struct rabbit *rabbit, struct span arguments)
{
    struct reader reader = reader_of(arguments);
    const uint8_t major = read_u8(&reader);
    const uint8_t minor = read_u8(&reader);
    (void)read_long_string(&reader); /* server properties */
    const struct span mechanisms = read_long_string(&reader);
    if (reader.bad || major != 0 || minor != 9) {
        connection_fail(rabbit, ERROR_CONNECTION, "the broker sent a malformed Connection.Start");
        return;
    }
    const char *wanted = rabbit->external ? "EXTERNAL" : "PLAIN";
    if (!offers(mechanisms, wanted)) {
        connection_fail(rabbit, ERROR_CONFIG, "the broker does not offer %s, but %.*s", wanted,
                        (int)(mechanisms.size < 100 ? mechanisms.size : 100),
                        (const char *)mechanisms.data);
        return;
    }
    send_start_ok(rabbit);
    if (rabbit->state == CONNECTION_WAIT_START) {
        rabbit->state = CONNECTION_WAIT_TUNE;
    }
}

/* The lower of both; if the broker's is 0, it sets no limit. */
static uint32_t
agree(uint32_t ours, uint32_t theirs)
{
    return theirs > 0 && theirs < ours ? theirs : ours;
}

static void
on_tune(struct rabbit *rabbit, struct span arguments)
{
    const amqp_connection_tune_t *tune =
        connection_decode(rabbit, AMQP_CONNECTION_TUNE_METHOD, arguments);
    if (tune == NULL) {
        return;
    }
    rabbit->frame_max = agree(rabbit->frame_max, tune->frame_max);
    rabbit->heartbeat_s = (uint16_t)agree(rabbit->heartbeat_s, tune->heartbeat);
    if (rabbit->frame_max < FRAME_MAX_LEAST) {
        connection_fail(rabbit, ERROR_CONFIG, "the broker allows frames of %u bytes, AMQP needs %u",
                        rabbit->frame_max, FRAME_MAX_LEAST);
        return;
    }
    connection_send(rabbit, 0, AMQP_CONNECTION_TUNE_OK_METHOD,
                    &(amqp_connection_tune_ok_t){
                        .channel_max = (uint16_t)agree(RABBIT_CHANNEL_MAX, tune->channel_max),
                        .frame_max = rabbit->frame_max,
                        .heartbeat = rabbit->heartbeat_s,
                    });
    connection_send(rabbit, 0, AMQP_CONNECTION_OPEN_METHOD,
                    &(amqp_connection_open_t){
                        .virtual_host = amqp_cstring_bytes(rabbit->vhost),
                    });
    if (rabbit->state == CONNECTION_WAIT_TUNE) {
        rabbit->state = CONNECTION_WAIT_OPEN_OK;
    }
}

static void
on_open_ok(struct rabbit *rabbit)
{
    rabbit->state = CONNECTION_OPEN;
    rabbit->give_up_us = CLOCK_NEVER_US;
    rabbit->heartbeat_send_us = rabbit->now_us + rabbit->heartbeat_s * CLOCK_S_US / 2;
}

/* Must an operator act? Not for a limit on connections, nor for anything after a successful log-in: those pass. */
static enum error_class
class_of_close(const struct rabbit *rabbit, uint16_t code, const char *text)
{
    const bool refusal = code == AMQP_ACCESS_REFUSED || code == AMQP_NOT_ALLOWED ||
                         code == AMQP_INVALID_PATH || code == AMQP_NOT_FOUND;
    return rabbit->state < CONNECTION_OPEN && refusal && strstr(text, "limit") == NULL
               ? ERROR_CONFIG
               : ERROR_CONNECTION;
}

static bool
shows_password(const struct rabbit *rabbit, const char *text)
{
    return rabbit->password != NULL && rabbit->password[0] != '\0' &&
           strstr(text, rabbit->password) != NULL;
}

static const char *
refused_what(const struct rabbit *rabbit, uint16_t code)
{
    if (code != AMQP_ACCESS_REFUSED || rabbit->state != CONNECTION_WAIT_TUNE) {
        return "the broker closed the connection";
    }
    return rabbit->external ? "the broker refused the client certificate"
                            : "the broker refused the user name or password";
}

static void
closed_by_peer(struct rabbit *rabbit, struct span arguments)
{
    const amqp_connection_close_t *close =
        connection_decode(rabbit, AMQP_CONNECTION_CLOSE_METHOD, arguments);
    if (close == NULL) {
        return;
    }
    char text[TEXT_MAX];
    readable(close->reply_text, text);
    const uint16_t code = close->reply_code;
    connection_send(rabbit, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &(amqp_connection_close_ok_t){0});
    if (rabbit->state == CONNECTION_OPEN) {
        rabbit->close_code = code;
    }
    if (rabbit->state == CONNECTION_CLOSING) {
        connection_fail(rabbit, ERROR_CONNECTION, "closed");
    } else if (shows_password(rabbit, text)) {
        connection_fail(rabbit, class_of_close(rabbit, code, text), "%s: %u",
                        refused_what(rabbit, code), code);
    } else {
        connection_fail(rabbit, class_of_close(rabbit, code, text), "%s: %u %s",
                        refused_what(rabbit, code), code, text);
    }
}

static bool
on_blocked(struct rabbit *rabbit, struct span arguments, struct rabbit_event *event)
{
    struct reader reader = reader_of(arguments);
    event->type = RABBIT_BLOCKED;
    event->text = read_short_string(&reader);
    if (reader.bad) {
        connection_fail(rabbit, ERROR_CONNECTION, "the broker sent a malformed Connection.Blocked");
    }
    return !reader.bad;
}

static void
unexpected(struct rabbit *rabbit, uint32_t method)
{
    connection_fail(rabbit, ERROR_CONNECTION, "the broker sent method 0x%08x out of turn", method);
}

static void
closing_method(struct rabbit *rabbit, uint32_t method)
{
    if (method == AMQP_CONNECTION_CLOSE_OK_METHOD) {
        connection_fail(rabbit, ERROR_CONNECTION, "closed");
    }
}

static bool
open_method(struct rabbit *rabbit, uint32_t method, struct span arguments,
            struct rabbit_event *event)
{
    switch (method) {
    case AMQP_CONNECTION_BLOCKED_METHOD:
        return on_blocked(rabbit, arguments, event);
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        event->type = RABBIT_UNBLOCKED;
        return true;
    default:
        unexpected(rabbit, method);
        return false;
    }
}

bool
handshake_method(struct rabbit *rabbit, uint32_t method, struct span arguments,
                 struct rabbit_event *event)
{
    if (method == AMQP_CONNECTION_CLOSE_METHOD) {
        closed_by_peer(rabbit, arguments);
        return false;
    }
    if (rabbit->state == CONNECTION_CLOSING) {
        closing_method(rabbit, method);
        return false;
    }
    if (rabbit->state == CONNECTION_OPEN) {
        return open_method(rabbit, method, arguments, event);
    }
    if (rabbit->state == CONNECTION_WAIT_START && method == AMQP_CONNECTION_START_METHOD) {
        on_start(rabbit, arguments);
    } else if (rabbit->state == CONNECTION_WAIT_TUNE && method == AMQP_CONNECTION_TUNE_METHOD) {
        on_tune(rabbit, arguments);
    } else if (rabbit->state == CONNECTION_WAIT_OPEN_OK &&
               method == AMQP_CONNECTION_OPEN_OK_METHOD) {
        on_open_ok(rabbit);
        event->type = RABBIT_OPENED;
        return true;
    } else {
        unexpected(rabbit, method);
    }
    return false;
}
