/* amqp/tls.h - TLS by OpenSSL over a socket that somebody else owns and made non-blocking. The
 * peer's certificate and name are verified unless that was switched off. No call of these raises
 * SIGPIPE. */
#ifndef AMQP_TLS_H
#define AMQP_TLS_H

#include <stddef.h>
#include <sys/types.h>

#include "amqp/uri.h"

/* Certificates and rules, shared by connections. */
struct tls_context;

/* NULL with ERROR_CONFIG if a file cannot be used. */
struct tls_context *tls_context_new(const struct amqp_endpoint *endpoint, struct error *reterr);
void tls_context_free(struct tls_context *context);

struct tls;

/* One connection to `host`, over `fd`; name overrides what the certificate must be for and what SNI
 * says (or NULL). */
struct tls *tls_new(const struct tls_context *context, int fd, const char *host, const char *name,
                    struct error *reterr);
void tls_free(struct tls *tls); /* says good-bye if it can at once; leaves the socket open */

enum tls_result { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_END, TLS_FAILED };

enum tls_result tls_handshake(struct tls *tls, struct error *reterr);
enum tls_result tls_read(struct tls *tls, void *data, size_t size, size_t *ret_read,
                         struct error *reterr);
enum tls_result tls_write(struct tls *tls, const void *data, size_t size, size_t *ret_written,
                          struct error *reterr);

/* Bytes that were decrypted and wait inside, where poll(2) does not see them. */
bool tls_pending(const struct tls *tls);

#endif
