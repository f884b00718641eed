/* relay/postgres/hash.h - PostgreSQL's hashtextextended(text, 0), by which outbox_held finds the messages of a key.
 * Rows of the log come without it. It is Bob Jenkins' lookup3 with the server's own seeding, over the bytes of the text
 * in the server's encoding. Before using it, ask the server for the hash of pg_hash_probe and compare: the result may
 * differ on a server with another byte order, with another encoding than the connection's (UTF-8), or of a later
 * version. */
#ifndef RELAY_POSTGRES_HASH_H
#define RELAY_POSTGRES_HASH_H

#include <stddef.h>
#include <stdint.h>

/* This UTF-8 text uses every part of the function. It has bytes that are not ASCII, so a server that converts texts
 * hashes other bytes. */
extern const char pg_hash_probe[];

int64_t pg_hash_text(const void *text, size_t size);

#endif
