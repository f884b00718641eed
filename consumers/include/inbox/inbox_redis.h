/* inbox/inbox_redis.h - Redis (5 or newer, or Valkey; one server with or without replicas, no Cluster) beside the inbox
 * table or in place of it. Read inbox.h first.
 *
 *   1. A hint in front of the table. inbox_redis_seen tells, for a batch, which messages were surely applied before, so that
 *      they can be acknowledged without a transaction; inbox_redis_remember records them *after the commit*. The table stays
 *      the truth: any failure means "don't know", and then the table is asked. Trust a hit only if the database cannot lose
 *      a commit that Redis remembers; with a failover to an asynchronous replica of the database, always claim in the table.
 *
 *   2. A claim for effects that are not in a database (a mail, a call of somebody's API). It makes duplicates rare, not
 *      impossible: a crash between the effect and inbox_redis_done leaves the effect without its record. If the other
 *      side takes an idempotency key, give it the message id.
 *
 *          claim → FIRST: effect, done, acknowledge (or release, if the effect did not happen)
 *                | DUPLICATE: acknowledge | BUSY: ask again in ret_lease->left_ms, do not acknowledge
 *                | INBOX_REDIS_LOST, anything else: do not acknowledge
 *
 * Data loss. A key "epoch" in Redis holds the id of the server process (run_id) and a random number, and every call
 * compares it with the value that the handle knows, in the same round trip. So it is noticed when
 *   - the data is gone: FLUSHALL, FLUSHDB, a start without persistence, the key evicted;
 *   - another process answers: a restart, whose last second may be missing (appendfsync everysec), or a failover to a
 *     replica that may be behind. The first call afterwards notices it, even with a handle that is made later.
 * Not noticed: the eviction of other keys (set maxmemory-policy noeviction); a loss of everything, epoch included,
 * before this handle first spoke to Redis; a restart if the server does not let INFO be read. Each handle reports each
 * loss: inbox_redis_seen and _remember as INBOX_REDIS_LOST when they notice it; inbox_redis_claim once, at its next
 * call, whichever call noticed it first. That claim has claimed nothing; later calls work as before. After a loss,
 * messages that were done may come out as FIRST again. The application decides: go on, look the effect up elsewhere, or
 * stop for a person.
 *
 * A user of Redis that is not the default one needs (ACL, Redis 6 or newer):
 *
 *     ACL SETUSER app on >password ~inbox:* +eval +mget +get +set +del +pttl +info
 *
 * with the prefix of the options in place of "inbox:", and +select for a database other than 0. Without +info
 * everything works, but a restart is not noticed. The hint alone needs +eval +mget +get +set +info. If one of the
 * others is missing, calls fail with INBOX_DATABASE and the server's message.
 *
 * A NULL where a value is required, or a number out of bounds, is INBOX_INVALID with the name of the argument.
 *
 * A call takes timeout_ms at the most, connecting included. After a failure Redis is left alone for a while (100 ms,
 * then longer, up to backoff_max_ms), in which calls return INBOX_CONNECTION at once. The first call that needs a
 * connection makes it. A handle serves one thread at a time.
 *
 * With `tls` the connection is encrypted (TLS 1.2 or newer), and Redis must have a certificate for the host that is signed by a
 * known authority; there is no way to switch that off. The files, in PEM form, are read again for each connection, so that a
 * certificate can be replaced at any time. A certificate that is not good is INBOX_CONNECTION with "TLS:" and the reason. */
#ifndef INBOX_INBOX_REDIS_H
#define INBOX_INBOX_REDIS_H

#include <stdbool.h>

#include <inbox/inbox.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct inbox_redis inbox_redis;

struct inbox_redis_options {
    size_t struct_size;      /* set by INBOX_REDIS_OPTIONS_INIT */
    const char *consumer;    /* whose inbox; required */
    const char *host;        /* name, address, or path of a Unix socket (begins with '/') */
    uint16_t port;           /* 1 to 65535 unless host is a path */
    const char *username;    /* NULL: the default user */
    const char *password;    /* NULL: no AUTH */
    uint32_t database;       /* for SELECT */
    const char *prefix;      /* of all keys, up to 64 bytes */
    uint32_t timeout_ms;     /* of a call; 1 to 60000 */
    uint32_t backoff_max_ms; /* 100 to 3600000 */
    uint64_t hint_ttl_s;     /* how long a hint is kept; 1 s to 10 years */
    uint64_t lease_ms;     /* how long a claim holds: longer than the effect takes; 1 to 86400000 */
    uint64_t done_ttl_s;   /* how long the record of a done message is kept; 1 s to 10 years */
    bool tls;              /* not with the path of a socket */
    const char *ca_file;   /* authorities to trust; NULL: those of the system */
    const char *cert_file; /* our own certificate, with key_file; NULL: none */
    const char *key_file;  /* its key, without a password */
    const char *tls_name;  /* whom Redis' certificate must be for; NULL: host */
};

/* 127.0.0.1, 6379, no AUTH, database 0, "inbox:"; 100 ms, 5 s; a day, a minute, a week; no TLS. The record of a done message
 * must be kept longer than a message can be on its way (see inbox_pg_forget). */
#define INBOX_REDIS_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(struct inbox_redis_options), NULL, "127.0.0.1", 6379, NULL, NULL, 0, "inbox:", 100, \
            5000, 86400, 60000, 604800, false, NULL, NULL, NULL, NULL                              \
    }

/* A claim in force. */
struct inbox_redis_lease {
    char token[33];   /* with INBOX_FIRST: identifies the lease; else "" */
    uint64_t left_ms; /* with INBOX_FIRST and INBOX_BUSY: time until the lease ends by itself */
};

/* Checks and copies the options, and looks the host up (which may block as long as the resolver does, and is not
 * repeated: after Redis has moved, make a new handle). Does not connect. INBOX_INVALID names the option;
 * INBOX_CONNECTION: the host is not known. Free *ret_redis, which is written on INBOX_OK only, with
 * inbox_redis_free. */
INBOX_API inbox_result inbox_redis_new(const struct inbox_redis_options *options,
                                       inbox_redis **ret_redis,
                                       struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Closes the connection. Takes NULL. */
INBOX_API void inbox_redis_free(inbox_redis *redis);

/* Sets ret_seen[i], for each of id_count ids, to whether it was remembered: true is sure (see above), false means
 * "don't know". Always written: all false unless the result is INBOX_OK. One round trip. */
INBOX_API inbox_result inbox_redis_seen(inbox_redis *redis, const struct inbox_id *ids,
                                        size_t id_count, bool *ret_seen,
                                        struct inbox_error *reterr);

/* Remembers ids that are committed in the inbox table. A failure does no harm: the next time the table is asked. With
 * INBOX_REDIS_LOST they are remembered nevertheless. One round trip. */
INBOX_API inbox_result inbox_redis_remember(inbox_redis *redis, const struct inbox_id *ids,
                                            size_t id_count, struct inbox_error *reterr);

/* Takes the lease of a message, if it is not done and nobody else has the lease. On INBOX_OK only it writes
 * ret_verdict, and ret_lease, which the caller keeps for done or release. After INBOX_CONNECTION it is unknown whether
 * the lease was taken; if it was, it ends by itself. */
INBOX_API inbox_result inbox_redis_claim(inbox_redis *redis, const void *message_id,
                                         size_t message_id_length, inbox_verdict *ret_verdict,
                                         struct inbox_redis_lease *ret_lease,
                                         struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Records that the effect has happened. INBOX_LEASE_LOST: the lease had ended already, so somebody else may have caused
 * the effect too, or be about to; the record is made nevertheless unless somebody else holds the lease now. After
 * INBOX_CONNECTION, call it again. */
INBOX_API inbox_result inbox_redis_done(inbox_redis *redis, const void *message_id,
                                        size_t message_id_length,
                                        const struct inbox_redis_lease *lease,
                                        struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Gives the lease back, because the effect has not happened. INBOX_LEASE_LOST: the lease was not ours any more, and
 * nothing was changed. */
INBOX_API inbox_result inbox_redis_release(inbox_redis *redis, const void *message_id,
                                           size_t message_id_length,
                                           const struct inbox_redis_lease *lease,
                                           struct inbox_error *reterr) INBOX_MUST_CHECK;

/* The hint in the form of struct inbox_runner_hint: `redis` is an inbox_redis, and results are ignored. Invalid ids
 * count as not seen. */
INBOX_API void inbox_redis_hint_seen(void *redis, const char *const *message_ids, size_t count,
                                     bool *ret_seen);
INBOX_API void inbox_redis_hint_remember(void *redis, const char *const *message_ids, size_t count);

#ifdef __cplusplus
}
#endif

#endif
