#include "amqp/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *method;
    bool verify;
};

struct tls {
    SSL *ssl;
    bool established;
};

/* A socket BIO of our own: OpenSSL's writes with write(2), which raises SIGPIPE. */
static int
bio_write(BIO *bio, const char *data, int size)
{
    const int fd = (int)(intptr_t)BIO_get_data(bio);
    const ssize_t written = send(fd, data, (size_t)size, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return (int)written;
}

static int
bio_read(BIO *bio, char *data, int size)
{
    const int fd = (int)(intptr_t)BIO_get_data(bio);
    const ssize_t got = recv(fd, data, (size_t)size, 0);
    BIO_clear_retry_flags(bio);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    }
    return (int)got;
}

static long
bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* OpenSSL has 127 numbers for kinds of BIO in a process, and takes none back: one is for all
 * connections that are ever made. */
static int bio_type;

static void
take_bio_type(void)
{
    bio_type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK;
}

static BIO_METHOD *
make_bio_method(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, take_bio_type); /* fails only for a `once` that is none */
    BIO_METHOD *method = BIO_meth_new(bio_type, "rabbit socket");
    if (method != NULL) {
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_ctrl(method, bio_control);
    }
    return method;
}

/* The first thing OpenSSL complained about, in its words. */
static const char *
reason(void)
{
    const unsigned long code = ERR_peek_error();
    if (code == 0) {
        return "no reason given";
    }
    if (ERR_SYSTEM_ERROR(code)) {
        return strerror(ERR_GET_REASON(code));
    }
    const char *text = ERR_reason_error_string(code);
    return text != NULL ? text : "unknown reason";
}

static bool
load_authorities(SSL_CTX *ssl, const char *file, struct error *reterr)
{
    if (file == NULL) {
        return SSL_CTX_set_default_verify_paths(ssl) == 1 ||
               error_set(reterr, ERROR_CONFIG, "cannot use the system's certificates: %s",
                         reason());
    }
    return SSL_CTX_load_verify_file(ssl, file) == 1 ||
           error_set(reterr, ERROR_CONFIG, "cannot use cacertfile %s: %s", file, reason());
}

static bool
load_certificate(SSL_CTX *ssl, const struct amqp_endpoint *endpoint, struct error *reterr)
{
    if (endpoint->cert_file == NULL) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, endpoint->cert_file) != 1) {
        return error_set(reterr, ERROR_CONFIG, "cannot use certfile %s: %s", endpoint->cert_file,
                         reason());
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, endpoint->key_file, SSL_FILETYPE_PEM) != 1) {
        return error_set(reterr, ERROR_CONFIG, "cannot use keyfile %s: %s", endpoint->key_file,
                         reason());
    }
    return true;
}

/* A key with a pass phrase would make OpenSSL ask the terminal. */
static int
no_pass_phrase(char *text, int size, int writing, void *data)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

static bool
configure(SSL_CTX *ssl, const struct amqp_endpoint *endpoint, struct error *reterr)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* RabbitMQ ends a connection by closing the socket; AMQP has its own good-bye, so nothing
     * can be cut off unseen. */
    SSL_CTX_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_default_passwd_cb(ssl, no_pass_phrase);
    SSL_CTX_set_verify(ssl, endpoint->tls_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return load_authorities(ssl, endpoint->ca_file, reterr) &&
           load_certificate(ssl, endpoint, reterr);
}

struct tls_context *
tls_context_new(const struct amqp_endpoint *endpoint, struct error *reterr)
{
    ERR_clear_error();
    struct tls_context *context = calloc(1, sizeof(*context));
    if (context == NULL) {
        error_set(reterr, ERROR_TRANSIENT, "out of memory");
        return NULL;
    }
    context->verify = endpoint->tls_verify;
    context->method = make_bio_method();
    context->ssl = SSL_CTX_new(TLS_client_method());
    if (context->ssl == NULL || context->method == NULL) {
        error_set(reterr, ERROR_TRANSIENT, "cannot set up TLS: %s", reason());
    } else if (configure(context->ssl, endpoint, reterr)) {
        return context;
    }
    tls_context_free(context);
    return NULL;
}

void
tls_context_free(struct tls_context *context)
{
    if (context != NULL) {
        SSL_CTX_free(context->ssl);
        BIO_meth_free(context->method);
        free(context);
    }
}

static bool
is_address(const char *name)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* Whom the certificate must be for; SNI carries names only (RFC 6066 section 3). */
static bool
expect_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
    if (is_address(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(rules, name) == 1;
    }
    char copy[256]; /* a DNS name has at most 253; OpenSSL's macro wants it without const */
    if ((size_t)snprintf(copy, sizeof(copy), "%s", name) >= sizeof(copy)) {
        return false;
    }
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(rules, name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, copy) == 1;
}

static bool
attach(SSL *ssl, const struct tls_context *context, int fd)
{
    BIO *bio = BIO_new(context->method);
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return true;
}

struct tls *
tls_new(const struct tls_context *context, int fd, const char *host, const char *name,
        struct error *reterr)
{
    ERR_clear_error();
    struct tls *tls = calloc(1, sizeof(*tls));
    if (tls != NULL) {
        tls->ssl = SSL_new(context->ssl);
    }
    if (tls == NULL || tls->ssl == NULL || !attach(tls->ssl, context, fd) ||
        !expect_name(tls->ssl, name != NULL ? name : host)) {
        error_set(reterr, ERROR_TRANSIENT, "cannot set up TLS: %s", reason());
        tls_free(tls);
        return NULL;
    }
    SSL_set_connect_state(tls->ssl);
    return tls;
}

void
tls_free(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    if (tls->established) {
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl); /* the alert goes out now or never: nobody waits for it */
    }
    SSL_free(tls->ssl);
    free(tls);
}

static enum tls_result
fail(const struct tls *tls, int system_error, struct error *reterr)
{
    const long verdict = SSL_get_verify_result(tls->ssl);
    if (!tls->established && verdict != X509_V_OK &&
        (SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) != 0) {
        error_set(reterr, ERROR_CONFIG, "TLS: certificate verify failed: %s",
                  X509_verify_cert_error_string(verdict));
    } else if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER) {
        error_set(reterr, ERROR_CONNECTION, "TLS: the peer speaks none: is this amqps' port?");
    } else if (ERR_peek_error() == 0) {
        error_set(reterr, ERROR_CONNECTION, "TLS: %s",
                  system_error != 0 ? strerror(system_error) : "the connection was lost");
    } else {
        error_set(reterr, ERROR_CONNECTION, "TLS: %s", reason());
    }
    return TLS_FAILED;
}

static enum tls_result
result_of(const struct tls *tls, int result, struct error *reterr)
{
    const int system_error = errno;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_END;
    default:
        return fail(tls, system_error, reterr);
    }
}

enum tls_result
tls_handshake(struct tls *tls, struct error *reterr)
{
    ERR_clear_error();
    errno = 0;
    const int result = SSL_do_handshake(tls->ssl);
    const enum tls_result outcome = result_of(tls, result, reterr);
    tls->established = outcome == TLS_DONE;
    if (outcome == TLS_END) {
        error_set(reterr, ERROR_CONNECTION, "TLS: the peer closed the connection");
        return TLS_FAILED;
    }
    return outcome;
}

enum tls_result
tls_read(struct tls *tls, void *data, size_t size, size_t *ret_read, struct error *reterr)
{
    ERR_clear_error();
    errno = 0;
    const enum tls_result outcome =
        result_of(tls, SSL_read_ex(tls->ssl, data, size, ret_read), reterr);
    /* After a fatal error OpenSSL forbids SSL_shutdown. */
    tls->established = tls->established && outcome != TLS_FAILED;
    return outcome;
}

enum tls_result
tls_write(struct tls *tls, const void *data, size_t size, size_t *ret_written, struct error *reterr)
{
    ERR_clear_error();
    errno = 0;
    const enum tls_result outcome =
        result_of(tls, SSL_write_ex(tls->ssl, data, size, ret_written), reterr);
    tls->established = tls->established && outcome != TLS_FAILED;
    return outcome;
}

bool
tls_pending(const struct tls *tls)
{
    return SSL_pending(tls->ssl) > 0;
}
