#include "relay/http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/listen.h"
#include "base/memory.h"
#include "relay/config/secret.h"
#include "relay/daemon/log.h"
#include "relay/http/guard.h"

#define REQUEST_LINE_AND_HEADERS_BYTES 16384
#define SILENCE_S 15U /* a connection on which nothing comes for so long is closed */
#define STACK_BYTES ((size_t)256 * 1024)
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" /* the library would take 1.0 */
#define PEM_BYTES (1024 * 1024)

/* A connection; the server's thread makes and frees it, and others look at it under the mutex. */
struct guest {
    struct guest *next;
    int fd;
    uint64_t since_us; /* when it was made, or when its last answer was complete */
};

struct server {
    const struct http_config *config;
    const struct http_route *routes;
    const struct http_context *context;
    struct crew *crew;
    struct MHD_Daemon *daemon;
    char *cert; /* PEM; used as long as the daemon runs */
    char *key;
    bool loopback;
    char words[200]; /* the library's last message */
    pthread_mutex_t mutex;
    struct guest *guests;
    void (*wake)(void *context);
    void *wake_context;
};

/* ---- one request ----------------------------------------------------------------------------------- */

enum exchange_stage {
    EXCHANGE_TAKING, /* its body comes */
    EXCHANGE_ASKING, /* with the crew; the connection is suspended */
    EXCHANGE_ANSWERED,
};

struct exchange {
    struct server *server;
    struct MHD_Connection *connection;
    const struct http_route *route;
    enum exchange_stage stage;
    struct http_request request;
    struct http_answer answer;
    char *body;
    size_t size;
};

static const char *
find_argument(void *connection, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    if (MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value,
                                      &size) == MHD_NO) {
        return NULL;
    }
    return value == NULL ? "" : value;
}

static const char *
find_header(void *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void
take_peer(struct http_request *request, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *const info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *const address = info == NULL ? NULL : info->client_addr;
    const socklen_t size = address != NULL && address->sa_family == AF_INET6
                               ? sizeof(struct sockaddr_in6)
                               : sizeof(struct sockaddr_in);
    if (address == NULL || getnameinfo(address, size, request->peer, sizeof(request->peer), NULL, 0,
                                       NI_NUMERICHOST) != 0) {
        memcpy(request->peer, "?", sizeof("?"));
    }
}

/* What every answer has. The pages take nothing from elsewhere, are in no other's frame, and tell nobody where one came
 * from. */
static const char *const headers[][2] = {
    {"Content-Security-Policy",
     "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

static enum MHD_Result
queue(struct MHD_Connection *connection, struct http_answer *answer, const char *allowed)
{
    struct MHD_Response *const response = MHD_create_response_from_buffer(
        answer->size, answer->body,
        answer->lasts || answer->body == NULL ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        return MHD_NO; /* out of memory: the connection ends */
    }
    answer->body = NULL; /* the response has it */
    bool good = MHD_add_response_header(response, "Content-Type",
                                        answer->type == NULL ? "text/plain; charset=utf-8"
                                                             : answer->type) == MHD_YES;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        good &= MHD_add_response_header(response, headers[i][0], headers[i][1]) == MHD_YES;
    }
    if (allowed != NULL) {
        good &= MHD_add_response_header(response, "Allow", allowed) == MHD_YES;
    }
    if (answer->status == 401) {
        good &= MHD_add_response_header(response, "WWW-Authenticate", "Bearer") == MHD_YES;
    }
    const enum MHD_Result result =
        good ? MHD_queue_response(connection, answer->status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result
refuse(struct MHD_Connection *connection, unsigned status, const char *words, const char *allowed)
{
    struct http_answer answer = {.status = status};
    http_answer_words(&answer, status, "%s", words);
    return queue(connection, &answer, allowed);
}

/* NULL: there is none, or it cannot be read. For config_secret_free. */
static char *
read_token(const struct server *server)
{
    const char *const path = server->config->token_file;
    struct error error;
    char *const token = path == NULL ? NULL : config_secret_read(path, &error);
    if (path != NULL && token == NULL) {
        log_error("http_token", LOG_WORDS("nothing can be changed over HTTP"), LOG_CAUSE(&error));
    }
    return token;
}

/* 0, or the status to refuse with. */
static unsigned
look_at(const struct server *server, struct MHD_Connection *connection,
        const struct http_route *route, const char **ret_words)
{
    const bool changes = (route->flags & HTTP_CHANGES) != 0;
    char *const token = changes ? read_token(server) : NULL;
    const struct guard_request request = {
        .loopback = server->loopback,
        .changes = changes,
        .host = find_header(connection, "Host"),
        .origin = find_header(connection, "Origin"),
        .site = find_header(connection, "Sec-Fetch-Site"),
        .authorization = find_header(connection, "Authorization"),
        .token = token,
    };
    const unsigned status = guard_refuses(&request, ret_words);
    config_secret_free(token);
    return status;
}

/* The head of a request has come. Refuses it, or begins an exchange. */
static enum MHD_Result
begin(struct server *server, struct MHD_Connection *connection, const char *path,
      const char *method, void **exchange)
{
    const char *rest;
    const char *allowed = NULL;
    const char *words;
    const struct http_route *const route =
        http_route_find(server->routes, method, path, &rest, &allowed);
    if (route == NULL && allowed == NULL) {
        return refuse(connection, 404, "there is nothing of this name", NULL);
    }
    if (route == NULL) {
        return refuse(connection, 405, "this path does not take this method", allowed);
    }
    const unsigned status = look_at(server, connection, route, &words);
    if (status != 0) {
        return refuse(connection, status, words, NULL);
    }
    struct exchange *const self = memory_array(1, sizeof(*self));
    *self = (struct exchange){.server = server, .connection = connection, .route = route};
    self->request = (struct http_request){.path = path,
                                          .rest = rest,
                                          .connection = connection,
                                          .find_argument = find_argument,
                                          .find_header = find_header};
    take_peer(&self->request, connection);
    self->answer.status = 200;
    *exchange = self;
    return MHD_YES;
}

/* Part of the body has come. False: it is too large. */
static bool
take(struct exchange *self, const char *data, size_t size)
{
    if (size > SERVER_BODY_BYTES - self->size) {
        return false;
    }
    if (self->body == NULL) {
        self->body = memory_array(1, SERVER_BODY_BYTES);
    }
    memcpy(self->body + self->size, data, size);
    self->size += size;
    return true;
}

static void
answer_now(struct exchange *self)
{
    self->route->handle(self->server->context, &self->request, &self->answer);
}

/* In a thread of the crew. */
static void
answer_there(void *context, bool ending)
{
    struct exchange *const self = context;
    if (ending) {
        http_answer_words(&self->answer, 503, "the relay is ending");
    } else {
        answer_now(self);
    }
    self->stage = EXCHANGE_ANSWERED;
    MHD_resume_connection(self->connection);
}

/* All of the request is there. */
static enum MHD_Result
answer(struct exchange *self)
{
    self->request.body = self->body;
    self->request.body_size = self->size;
    if (self->stage == EXCHANGE_TAKING && (self->route->flags & HTTP_ASKS) != 0) {
        self->stage = EXCHANGE_ASKING;
        MHD_suspend_connection(self->connection);
        if (crew_do(self->server->crew, answer_there, self)) {
            return MHD_YES;
        }
        http_answer_words(&self->answer, 503, "too many such requests are being answered");
        self->stage = EXCHANGE_ANSWERED;
        MHD_resume_connection(self->connection);
        return MHD_YES;
    }
    if (self->stage == EXCHANGE_TAKING) {
        answer_now(self);
        self->stage = EXCHANGE_ANSWERED;
    }
    return queue(self->connection, &self->answer, NULL);
}

static enum MHD_Result
handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
       const char *version, const char *data, size_t *size, void **exchange)
{
    struct exchange *const self = *exchange;
    (void)version; /* every one that the library takes */
    if (self == NULL) {
        return begin(context, connection, path, method, exchange);
    }
    if (*size == 0) {
        return answer(self);
    }
    const bool fits = take(self, data, *size);
    *size = 0;
    /* The library takes no answer before the whole body has come: so the connection ends. */
    return fits ? MHD_YES : MHD_NO;
}

static struct guest **
find_guest(struct server *server, int fd)
{
    struct guest **at = &server->guests;
    while (*at != NULL && (*at)->fd != fd) {
        at = &(*at)->next;
    }
    return at;
}

static int
fd_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void
lock(struct server *server)
{
    (void)pthread_mutex_lock(&server->mutex); /* cannot fail: it is ours, and never taken twice */
}

static void
unlock(struct server *server)
{
    (void)pthread_mutex_unlock(&server->mutex); /* as above */
}

static void
completed(void *context, struct MHD_Connection *connection, void **exchange,
          enum MHD_RequestTerminationCode code)
{
    struct server *const server = context;
    struct exchange *const self = *exchange;
    (void)code; /* it is over in any case */
    lock(server);
    struct guest *const guest = *find_guest(server, fd_of(connection));
    if (guest != NULL) {
        guest->since_us = clock_monotonic_us();
    }
    unlock(server);
    if (self == NULL) {
        return;
    }
    if (!self->answer.lasts) {
        free(self->answer.body); /* if it was not queued */
    }
    memory_free(self->body);
    memory_free(self);
    *exchange = NULL;
}

/* ---- connections ----------------------------------------------------------------------------------- */

static void
welcome(struct server *server, int fd)
{
    struct guest *const guest = memory_array(1, sizeof(*guest));
    *guest = (struct guest){.fd = fd, .since_us = clock_monotonic_us()};
    lock(server);
    guest->next = server->guests;
    server->guests = guest;
    unlock(server);
    if (server->wake != NULL) {
        server->wake(server->wake_context);
    }
}

/* The library closes the descriptor afterwards. */
static void
bid_farewell(struct server *server, int fd)
{
    lock(server);
    struct guest **const at = find_guest(server, fd);
    struct guest *const guest = *at;
    if (guest != NULL) {
        *at = guest->next;
    }
    unlock(server);
    memory_free(guest);
}

static void
on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
              enum MHD_ConnectionNotificationCode code)
{
    (void)socket_context; /* found by its descriptor, as completed() has to */
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        welcome(context, fd_of(connection));
    } else {
        bid_farewell(context, fd_of(connection));
    }
}

uint64_t
server_cut(struct server *server, uint64_t now_us)
{
    uint64_t next_us = CLOCK_NEVER_US;
    lock(server);
    for (struct guest *guest = server->guests; guest != NULL; guest = guest->next) {
        const uint64_t until_us = guest->since_us + SERVER_REQUEST_US;
        if (now_us >= until_us) {
            (void)shutdown(guest->fd, SHUT_RDWR); /* the library sees the end, and closes it */
            guest->since_us = now_us;
        }
        next_us = clock_earlier_us(next_us, guest->since_us + SERVER_REQUEST_US);
    }
    unlock(server);
    return next_us;
}

void
server_on_connection(struct server *server, void (*wake)(void *context), void *context)
{
    server->wake_context = context;
    server->wake = wake;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void take_words(void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void
take_words(void *context, const char *format, va_list arguments)
{
    struct server *const server = context;
    char words[sizeof(server->words)];
    (void)vsnprintf(words, sizeof(words), format, arguments); /* cut is fine */
    words[strcspn(words, "\r\n")] = '\0';
    if (server->daemon == NULL) {
        memcpy(server->words, words, sizeof(words));
    }
    log_debug("http_library", LOG_WORDS(words));
}

/* A listening socket; -1 with *reterr. */
static int
open_socket(const struct listen_address *address, const char *text, struct error *reterr)
{
    const int on = 1;
    const bool v6 = address->socket.any.sa_family == AF_INET6;
    const int fd =
        socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        (void)error_set(reterr, ERROR_TRANSIENT, "no socket: %s", strerror(errno));
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
                     sizeof(on)); /* these fail only on no socket */
    if (v6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, &address->socket.any,
             v6 ? sizeof(address->socket.v6) : sizeof(address->socket.v4)) != 0 ||
        listen(fd, SERVER_CONNECTIONS) != 0) {
        (void)error_set(reterr, ERROR_TRANSIENT, "cannot listen on %s: %s", text, strerror(errno));
        (void)close(fd); /* nothing was written */
        return -1;
    }
    return fd;
}

static char *
read_pem(const char *name, const char *path, struct error *reterr)
{
    if (!file_is_usable(name, path, reterr)) {
        return NULL;
    }
    FILE *const file = fopen(path, "re");
    char *const text = memory_array(PEM_BYTES + 1, 1);
    const size_t size = file == NULL ? 0 : fread(text, 1, PEM_BYTES, file);
    if (file != NULL) {
        (void)fclose(file); /* was only read */
    }
    if (size == 0) {
        (void)error_set(reterr, ERROR_CONFIG, "%s %s is empty", name, path);
        memory_free(text);
        return NULL;
    }
    return text;
}

static bool
read_tls(struct server *server, struct error *reterr)
{
    const struct http_config *const config = server->config;
    if (config->tls_cert == NULL) {
        return true;
    }
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
        return error_set(reterr, ERROR_CONFIG, "this libmicrohttpd was built without TLS");
    }
    server->cert = read_pem("tls_cert", config->tls_cert, reterr);
    server->key = server->cert == NULL ? NULL : read_pem("tls_key", config->tls_key, reterr);
    return server->key != NULL;
}

static bool
start_daemon(struct server *server, int fd, bool v6, struct error *reterr)
{
    static char versions[] = TLS_VERSIONS;
    struct MHD_OptionItem more[6] = {{MHD_OPTION_END, 0, NULL}};
    size_t count = 0;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    flags |= v6 ? MHD_USE_IPv6 : 0;
    if (server->cert != NULL) {
        flags |= MHD_USE_TLS;
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, server->cert};
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, server->key};
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, versions};
    }
    if (!server->config->behind_proxy) {
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                                                SERVER_CONNECTIONS_PER_ADDRESS, NULL};
    }
    more[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER, take_words, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)REQUEST_LINE_AND_HEADERS_BYTES, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
        MHD_OPTION_NOTIFY_COMPLETED, completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        server, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    if (server->daemon == NULL) {
        return error_set(reterr, ERROR_CONFIG, "the HTTP server cannot be started%s%s",
                         server->words[0] == '\0' ? "" : ": ", server->words);
    }
    return true;
}

/* The library's thread inherits the signal mask of its creator. */
static bool
start_quietly(struct server *server, int fd, bool v6, struct error *reterr)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);                            /* cannot fail */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail with a valid `how` */
    const bool good = start_daemon(server, fd, v6, reterr);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* as above */
    return good;
}

static void
server_free(struct server *server)
{
    config_secret_free(server->key);
    memory_free(server->cert);
    (void)pthread_mutex_destroy(&server->mutex); /* nobody uses it */
    memory_free(server);
}

struct server *
server_start(const struct http_config *config, const struct http_route *routes,
             const struct http_context *context, struct crew *crew, struct error *reterr)
{
    struct listen_address address;
    if (!listen_parse(config->listen, &address, reterr)) {
        return NULL;
    }
    struct server *const server = memory_array(1, sizeof(*server));
    *server = (struct server){
        .config = config,
        .routes = routes,
        .context = context,
        .crew = crew,
        .loopback = address.loopback && !config->behind_proxy,
    };
    (void)pthread_mutex_init(&server->mutex, NULL); /* cannot fail on Linux */
    const bool v6 = address.socket.any.sa_family == AF_INET6;
    const int fd = read_tls(server, reterr) ? open_socket(&address, config->listen, reterr) : -1;
    if (fd < 0 || !start_quietly(server, fd, v6, reterr)) {
        if (fd >= 0) {
            (void)close(fd); /* nothing was written */
        }
        server_free(server);
        return NULL;
    }
    return server;
}

void
server_stop(struct server *server)
{
    if (server != NULL) {
        MHD_stop_daemon(server->daemon);
        server_free(server);
    }
}
