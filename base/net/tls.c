#include "base/net/tls.h"

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

#include "base/file.h"

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *method;
    bool verify;
    struct tls_files words; /* only the names: the paths may be gone */
};

struct tls {
    SSL *ssl;
    const char *name; /* whom the certificate must be for; the caller's */
    const struct tls_files *words;
    bool established;
    bool certified; /* with a client certificate */
    bool nameless;  /* the peer's certificate was refused and has no subjectAltName */
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
load_authorities(SSL_CTX *ssl, const struct tls_files *files, struct error *reterr)
{
    if (files->ca == NULL) {
        return SSL_CTX_set_default_verify_paths(ssl) == 1 ||
               error_set(reterr, ERROR_CONFIG, "cannot use the system's certificates: %s",
                         reason());
    }
    return file_is_usable(files->ca_name, files->ca, reterr) &&
           (SSL_CTX_load_verify_file(ssl, files->ca) == 1 ||
            error_set(reterr, ERROR_CONFIG,
                      "cannot use %s %s: there is no certificate in PEM form in it (%s)",
                      files->ca_name, files->ca, reason()));
}

/* A key with a password would make OpenSSL ask the terminal. */
static int
no_password(char *text, int size, int writing, void *asked)
{
    (void)text;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static bool
refuse_key(const struct tls_files *files, bool encrypted, struct error *reterr)
{
    if (encrypted) {
        return error_set(reterr, ERROR_CONFIG,
                         "cannot use %s %s: the key is encrypted, and nobody can be asked for its "
                         "password: decrypt it (openssl pkey -in OLD -out NEW)",
                         files->key_name, files->key);
    }
    if (ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509 &&
        (ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH ||
         ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_TYPE_MISMATCH)) {
        return error_set(reterr, ERROR_CONFIG, "cannot use %s %s: it is not the key of %s %s",
                         files->key_name, files->key, files->cert_name, files->cert);
    }
    return error_set(reterr, ERROR_CONFIG,
                     "cannot use %s %s: there is no private key in PEM form in it (%s)",
                     files->key_name, files->key, reason());
}

static bool
load_key(SSL_CTX *ssl, const struct tls_files *files, struct error *reterr)
{
    bool asked = false;
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &asked);
    const bool loaded = SSL_CTX_use_PrivateKey_file(ssl, files->key, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    return loaded || refuse_key(files, asked, reterr);
}

static bool
load_certificate(SSL_CTX *ssl, const struct tls_files *files, struct error *reterr)
{
    if (files->cert != NULL) {
        bool asked = false;
        SSL_CTX_set_default_passwd_cb_userdata(ssl, &asked);
        const bool loaded = file_is_usable(files->cert_name, files->cert, reterr) &&
                            (SSL_CTX_use_certificate_chain_file(ssl, files->cert) == 1 ||
                             error_set(reterr, ERROR_CONFIG,
                                       "cannot use %s %s: there is no certificate in PEM form in "
                                       "it (%s)",
                                       files->cert_name, files->cert, reason()));
        SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
        if (!loaded) {
            return false;
        }
    }
    return files->key == NULL ||
           (file_is_usable(files->key_name, files->key, reterr) && load_key(ssl, files, reterr));
}

static bool
load_files(SSL_CTX *ssl, const struct tls_files *files, struct error *reterr)
{
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    return load_authorities(ssl, files, reterr) && load_certificate(ssl, files, reterr);
}

/* Where no file is named the system's authorities would be read for nothing: all of them, 1 MiB and 40 ms. */
bool
tls_files_check(const struct tls_files *files, struct error *reterr)
{
    if (files->ca == NULL && files->cert == NULL && files->key == NULL) {
        return true;
    }
    ERR_clear_error();
    SSL_CTX *const ssl = SSL_CTX_new(TLS_client_method());
    if (ssl == NULL) {
        return error_set(reterr, ERROR_TRANSIENT, "cannot set up TLS: %s", reason());
    }
    const bool good = load_files(ssl, files, reterr);
    SSL_CTX_free(ssl);
    return good;
}

/* A certificate without a subjectAltName is for no host (RFC 9525 section 2); OpenSSL reports that as a mismatch, and the
 * error text should name the real cause. Only here is the certificate available. */
static int
note_verdict(int good, X509_STORE_CTX *store)
{
    SSL *const ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *const tls = SSL_get_app_data(ssl);
    if (!good && X509_STORE_CTX_get_error_depth(store) == 0) {
        const X509 *const certificate = X509_STORE_CTX_get_current_cert(store);
        tls->nameless =
            certificate != NULL && X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) < 0;
    }
    return good;
}

static bool
configure(SSL_CTX *ssl, const struct tls_files *files, bool verify, struct error *reterr)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* RabbitMQ ends a connection by closing the socket. AMQP has its own close message, so a truncated stream is noticed all
     * the same. */
    SSL_CTX_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    if (verify) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, note_verdict);
    } else {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    }
    return load_files(ssl, files, reterr);
}

struct tls_context *
tls_context_new(const struct tls_files *files, bool verify, struct error *reterr)
{
    ERR_clear_error();
    struct tls_context *context = calloc(1, sizeof(*context));
    if (context == NULL) {
        error_set(reterr, ERROR_TRANSIENT, "out of memory");
        return NULL;
    }
    context->verify = verify;
    context->words = *files;
    context->method = make_bio_method();
    context->ssl = SSL_CTX_new(TLS_client_method());
    if (context->ssl == NULL || context->method == NULL) {
        error_set(reterr, ERROR_TRANSIENT, "cannot set up TLS: %s", reason());
    } else if (configure(context->ssl, files, verify, reterr)) {
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
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
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
    tls->name = name != NULL ? name : host;
    tls->words = &context->words;
    tls->certified = SSL_get_certificate(tls->ssl) != NULL;
    SSL_set_app_data(tls->ssl, tls);
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

/* The certificate was refused by us. */
static void
tell_verdict(const struct tls *tls, long verdict, struct error *reterr)
{
    if (verdict != X509_V_ERR_HOSTNAME_MISMATCH && verdict != X509_V_ERR_IP_ADDRESS_MISMATCH) {
        error_set(reterr, ERROR_CONFIG, "TLS: certificate verify failed: %s",
                  X509_verify_cert_error_string(verdict));
    } else if (tls->nameless) {
        error_set(
            reterr, ERROR_CONFIG,
            "TLS: certificate verify failed: it names no host, because it has no subjectAltName; "
            "have one made with subjectAltName = DNS:%s (for an address IP:…)",
            tls->name);
    } else {
        const char *const option = tls->words->host_name;
        error_set(reterr, ERROR_CONFIG, "TLS: certificate verify failed: %s: it is not for %s%s%s",
                  X509_verify_cert_error_string(verdict), tls->name, option != NULL ? "; see " : "",
                  option != NULL ? option : "");
    }
}

/* What the peer's alert (RFC 8446 section 6.2) says of our certificate, or that there is none; false if it is about
 * something else. TLS 1.2 has no word of its own for a certificate that is missing. */
static bool
tell_alert(const struct tls *tls, struct error *reterr)
{
    const struct tls_files *const words = tls->words;
    const char *const peer = words->peer_name != NULL ? words->peer_name : "the peer";
    const char *const cert = words->cert_name != NULL ? words->cert_name : "this side";
    const char *const key = words->key_name != NULL ? words->key_name : "its key";
    char why[200];
    (void)snprintf(why, sizeof(why), "%s", reason()); /* cut is fine */
    switch (ERR_GET_REASON(ERR_peek_error())) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        error_set(reterr, ERROR_CONFIG,
                  "TLS: %s demands a client certificate: name one by %s and %s (%s)", peer, cert,
                  key, why);
        return true;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        error_set(reterr, ERROR_CONFIG,
                  "TLS: %s and this side have no TLS parameters in common, or it %s%s%s%s (%s)",
                  peer,
                  tls->certified ? "refuses the certificate of " : "demands a client certificate (",
                  cert, tls->certified ? "" : ", ", tls->certified ? "" : key, why);
        return true;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        error_set(reterr, ERROR_CONFIG,
                  "TLS: %s does not know the authority that signed the certificate of %s (%s)",
                  peer, cert, why);
        return true;
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        error_set(reterr, ERROR_CONFIG, "TLS: %s says that the certificate of %s has expired (%s)",
                  peer, cert, why);
        return true;
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        error_set(reterr, ERROR_CONFIG, "TLS: %s refuses the certificate of %s (%s)", peer, cert,
                  why);
        return true;
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        error_set(reterr, ERROR_CONFIG, "TLS: %s does not speak TLS 1.2 or newer (%s)", peer, why);
        return true;
    default:
        return false;
    }
}

static enum tls_result
fail(const struct tls *tls, int system_error, struct error *reterr)
{
    const unsigned long code = ERR_peek_error();
    const long verdict = SSL_get_verify_result(tls->ssl);
    if (!tls->established && verdict != X509_V_OK &&
        (SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) != 0) {
        tell_verdict(tls, verdict, reterr);
    } else if (code == 0) {
        error_set(reterr, ERROR_CONNECTION, "TLS: %s",
                  system_error != 0 ? strerror(system_error) : "the connection was lost");
    } else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
               ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
        error_set(reterr, ERROR_CONNECTION, "TLS: the peer speaks none: is this the port for TLS?");
    } else if (ERR_GET_LIB(code) != ERR_LIB_SSL || !tell_alert(tls, reterr)) {
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

/* A peer that refuses our certificate in TLS 1.3 says so after the handshake, and closes: a write may notice the end first,
 * while the reason is still to be read. */
static void
hear_last_words(struct tls *tls, struct error *reterr)
{
    char byte;
    size_t got;
    struct error error;
    ERR_clear_error();
    errno = 0;
    if (result_of(tls, SSL_read_ex(tls->ssl, &byte, 1, &got), &error) == TLS_FAILED &&
        error.class == ERROR_CONFIG && reterr != NULL) {
        *reterr = error;
    }
}

enum tls_result
tls_write(struct tls *tls, const void *data, size_t size, size_t *ret_written, struct error *reterr)
{
    ERR_clear_error();
    errno = 0;
    const enum tls_result outcome =
        result_of(tls, SSL_write_ex(tls->ssl, data, size, ret_written), reterr);
    tls->established = tls->established && outcome != TLS_FAILED;
    if (outcome == TLS_FAILED && ERR_peek_error() == 0) {
        hear_last_words(tls, reterr);
    }
    return outcome;
}

bool
tls_pending(const struct tls *tls)
{
    return SSL_pending(tls->ssl) > 0;
}

/* Of a subject or issuer, in one line. */
static void
put_name(X509_NAME *name, char *ret_text, size_t size)
{
    BIO *const bio = BIO_new(BIO_s_mem());
    ret_text[0] = '\0';
    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        const int length = BIO_read(bio, ret_text, (int)size - 1);
        ret_text[length > 0 ? length : 0] = '\0';
    }
    BIO_free(bio);
}

bool
tls_peer_of(const void *library_ssl, struct tls_peer *ret_peer)
{
    const SSL *const ssl = library_ssl;
    X509 *const certificate = ssl == NULL ? NULL : SSL_get1_peer_certificate(ssl);
    if (certificate == NULL) {
        return false;
    }
    (void)snprintf(ret_peer->version, sizeof(ret_peer->version), "%s",
                   SSL_get_version(ssl)); /* fits */
    put_name(X509_get_subject_name(certificate), ret_peer->subject, sizeof(ret_peer->subject));
    put_name(X509_get_issuer_name(certificate), ret_peer->issuer, sizeof(ret_peer->issuer));
    ret_peer->verified = SSL_get_verify_result(ssl) == X509_V_OK;
    ret_peer->named = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) >= 0;
    X509_free(certificate);
    return true;
}

bool
tls_peer(const struct tls *tls, struct tls_peer *ret_peer)
{
    return tls_peer_of(tls->ssl, ret_peer);
}
