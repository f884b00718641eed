/* tests/unit/fake_redis.h - a server on a Unix socket that answers each command with the next of a list of replies, as
 * they stand on the wire. A NULL ends the list: then it reads and says nothing. */
#ifndef TESTS_UNIT_FAKE_REDIS_H
#define TESTS_UNIT_FAKE_REDIS_H

#include <pthread.h>
#include <stdatomic.h>

#define FAKE_REDIS_COMMANDS_MAX 16

struct fake_redis {
    char directory[32];
    char path[64]; /* of the socket */
    int listener;
    int stop[2]; /* a pipe: closed to stop */
    const char *const
        *replies; /* "\b" in front: one byte every 20 ms; "\v": closes the connection */
    atomic_uint connections;
    atomic_uint commands;
    char seen[FAKE_REDIS_COMMANDS_MAX][256]; /* words of each command, each behind a blank */
    pthread_t thread;
};

void fake_redis_start(struct fake_redis *fake, const char *const *replies);
void fake_redis_stop(struct fake_redis *fake);

#endif
