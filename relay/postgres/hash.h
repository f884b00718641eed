/* relay/postgres/hash.h - PostgreSQL's hashtextextended(text, 0), by which outbox_held finds the messages of a key: rows
 * of the log come without it. It is Bob Jenkins' lookup3 with the server's own seeding, over the bytes of the text in
 * the server's encoding. Whoever uses it asks the server for the hash of pg_hash_probe first, and compares: a server of
 * another byte order, another encoding than the connection's (UTF-8) or a later version may differ. */
#ifndef RELAY_POSTGRES_HASH_H
#define RELAY_POSTGRES_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Goes through every part of the function, and is not ASCII: where the server converts, it hashes other bytes. UTF-8. */
extern const char pg_hash_probe[];

int64_t pg_hash_text(const void *text, size_t size);

#endif
