/* consumers/redis_session.h - private to libinbox-redis: a connection that is made when it is needed, with a pause
 * after a failure; and the comparison of the epoch that shows whether Redis has lost data (see inbox_redis.h). */
#ifndef CONSUMERS_REDIS_SESSION_H
#define CONSUMERS_REDIS_SESSION_H

#include <inbox/inbox_redis.h>

#include "base/backoff.h"
#include "consumers/redis_link.h"

#define REDIS_EPOCH_BYTES 96

struct redis_session {
    struct redis_link link;
    char *username; /* NULL: none */
    char *password; /* NULL: none */
    char *files[3]; /* of TLS: authorities, certificate, key; each may be NULL */
    char *tls_name; /* whom the certificate must be for */
    struct redis_link_tls tls;
    char database[12];
    char *epoch_key;
    uint64_t timeout_us;
    uint64_t deadline_us; /* of the present call */
    uint64_t rest_until_us;
    struct backoff backoff;
    struct random random;
    char epoch[REDIS_EPOCH_BYTES]; /* "": not known yet */
    bool lost_in_call;             /* noticed by the present call */
    bool lost;                     /* not yet reported by inbox_redis_claim */
};

/* Copies what it needs. redis_session_done frees it, also after a failure. */
inbox_result redis_session_init(struct redis_session *session,
                                const struct inbox_redis_options *options,
                                struct inbox_error *reterr) MUST_CHECK;
void redis_session_done(struct redis_session *session);

/* To be called at the start of a call: sets its deadline, and connects if necessary. */
inbox_result redis_session_begin(struct redis_session *session,
                                 struct inbox_error *reterr) MUST_CHECK;

/* One command; an error reply becomes a failure. *ret_reply is freed by the caller. */
inbox_result redis_session_call(struct redis_session *session, size_t count, const char **words,
                                const size_t *lengths, redisReply **ret_reply,
                                struct inbox_error *reterr) MUST_CHECK;

/* To be called when Redis had another epoch than session->epoch: records the loss and finds out the present epoch. */
void redis_session_note_loss(struct redis_session *session);

/* `count` random bytes as 2 * count hexadecimal digits and a zero byte; at most 32. */
void redis_random_hex(char *ret_text, size_t count);

#endif
