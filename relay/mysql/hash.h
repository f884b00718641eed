/* relay/mysql/hash.h - the hash by which outbox_held finds the messages of a key: the first 15 hex digits of the key's
 * SHA-256, which the statements compute by cast(conv(left(sha2(`key`, 256), 15), 16, 10) as signed). Rows of the log
 * come without it. */
#ifndef RELAY_MYSQL_HASH_H
#define RELAY_MYSQL_HASH_H

#include <stddef.h>
#include <stdint.h>

struct evp_md_ctx_st;

/* For one thread at a time. The context is kept, because looking up the function for each key would take 540 ns instead
 * of 170 (OpenSSL 3.0, keys of 28 bytes). */
struct my_hash {
    struct evp_md_ctx_st *context;
};

/* Ends the process if OpenSSL does not offer SHA-256. */
void my_hash_init(struct my_hash *hash);
void my_hash_done(struct my_hash *hash);

/* The hash of a key in UTF-8: from 0 to 2^60 - 1. */
int64_t my_hash_text(struct my_hash *hash, const void *text, size_t size);

#endif
