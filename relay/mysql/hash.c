#include "relay/mysql/hash.h"

#include <endian.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/memory.h"

#define HASH_BITS 60 /* 15 hex digits */

static void
require(int done)
{
    if (done != 1) {
        memory_exhausted(); /* or the library has no SHA-256 */
    }
}

void
my_hash_init(struct my_hash *hash)
{
    hash->context = EVP_MD_CTX_new();
    require(hash->context != NULL);
    require(EVP_DigestInit_ex2(hash->context, EVP_sha256(), NULL));
}

void
my_hash_done(struct my_hash *hash)
{
    EVP_MD_CTX_free(hash->context);
    hash->context = NULL;
}

int64_t
my_hash_text(struct my_hash *hash, const void *text, size_t size)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    uint64_t first;
    require(EVP_DigestInit_ex2(hash->context, NULL, NULL)); /* the same function again */
    require(EVP_DigestUpdate(hash->context, text, size));
    require(EVP_DigestFinal_ex(hash->context, digest, NULL));
    memcpy(&first, digest, sizeof(first));
    return (int64_t)(be64toh(first) >> (64 - HASH_BITS));
}
