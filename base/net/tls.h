/* base/net/tls.h - TLS by OpenSSL over a socket that somebody else owns and made non-blocking. The
 * peer's certificate and name are verified unless that was switched off. No call of these raises
 * SIGPIPE. */
#ifndef BASE_NET_TLS_H
#define BASE_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* Files in PEM form, and the words by which a text names them ("cacertfile"). NULL: the system's authorities; no client
 * certificate. */
struct tls_files {
    const char *ca_name, *ca;
    const char *cert_name, *cert;
    const char *key_name, *key;
    /* What a text calls the other side, "the broker"; NULL: "the peer". */
    const char *peer_name;
    /* The option that overrides the host, "server_name_indication"; NULL: there is none. */
    const char *host_name;
};

/* Checks that they are regular files with the right content, and that certificate and key belong together. A key with a
 * password is refused, because there is nobody to ask for it. Never waits. False with *reterr, mostly ERROR_CONFIG, whose text
 * names the file and shows nothing of it. */
bool tls_files_check(const struct tls_files *files, struct error *reterr) MUST_CHECK;

/* The certificate of the peer. The names are as they stand in it. */
struct tls_peer {
    char version[16]; /* "TLSv1.3" */
    char subject[160];
    char issuer[160];
    bool verified; /* by a known authority; nothing of the name */
    bool named;    /* it has a subjectAltName */
};

/* Of a connection that is established, or of one that another library made: an SSL * of OpenSSL. False if there is no
 * certificate. */
struct tls;
bool tls_peer(const struct tls *tls, struct tls_peer *ret_peer);
bool tls_peer_of(const void *library_ssl, struct tls_peer *ret_peer);

/* Certificates and rules, shared by connections. */
struct tls_context;

/* Reads the files; keeps their names, but not their paths. verify: the peer's certificate and name, as one should. NULL with ERROR_CONFIG if a file cannot be used. */
struct tls_context *tls_context_new(const struct tls_files *files, bool verify,
                                    struct error *reterr);
void tls_context_free(struct tls_context *context);

/* One connection to `host`, over `fd`; name overrides what the certificate must be for and what SNI
 * says (or NULL). Both must outlive it. */
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
