/* tests/unit/fake_redis.h - a server on a Unix socket that answers each command with the next of a list of replies, in
 * the form of the protocol. NULL ends the list: from then on it reads and does not answer. */
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
    /* A reply that begins with "\b" is sent at one byte every 20 ms; "\v" closes the connection. */
    const char *const *replies;
    atomic_uint connections;
    atomic_uint commands;
    char seen[FAKE_REDIS_COMMANDS_MAX][256]; /* the words of each command, each after a blank */
    pthread_t thread;
};

void fake_redis_start(struct fake_redis *fake, const char *const *replies);
void fake_redis_stop(struct fake_redis *fake);

#endif
