#include "consumers/redis_session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/inbox_private.h"
#include "consumers/redis/establish_lua.h"

#define BACKOFF_INITIAL_US (100 * CLOCK_MS_US)
#define RUN_ID_BYTES 41 /* 40 hexadecimal digits */

void
redis_random_hex(char *ret_text, size_t count)
{
    uint8_t bytes[32];
    assert(count <= sizeof(bytes));
    arc4random_buf(bytes, count);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
    }
}

static char *
copy_or_null(const char *text, bool *failed)
{
    char *copy = text == NULL ? NULL : strdup(text);
    *failed = *failed || (text != NULL && copy == NULL);
    return copy;
}

static bool
copy_texts(struct redis_session *session, const struct inbox_redis_options *options)
{
    bool failed = false;
    session->files[0] = copy_or_null(options->ca_file, &failed);
    session->files[1] = copy_or_null(options->cert_file, &failed);
    session->files[2] = copy_or_null(options->key_file, &failed);
    session->tls_name =
        copy_or_null(options->tls_name != NULL ? options->tls_name : options->host, &failed);
    session->username = copy_or_null(options->username, &failed);
    session->password = copy_or_null(options->password, &failed);
    if (asprintf(&session->epoch_key, "%sepoch", options->prefix) < 0) {
        session->epoch_key = NULL; /* else it is undefined */
        failed = true;
    }
    return !failed;
}

/* The files are read again for each connection; here they are checked. */
static inbox_result
set_up_tls(struct redis_session *session, struct inbox_error *reterr)
{
    struct error error;
    session->tls = (struct redis_link_tls){
        .name = session->tls_name,
        .files =
            {
                .ca_name = "ca_file",
                .ca = session->files[0],
                .cert_name = "cert_file",
                .cert = session->files[1],
                .key_name = "key_file",
                .key = session->files[2],
                .peer_name = "Redis",
                .host_name = "tls_name",
            },
    };
    return tls_files_check(&session->tls.files, &error)
               ? INBOX_OK
               : inbox_fail(reterr, error.class == ERROR_CONFIG ? INBOX_INVALID : INBOX_NO_MEMORY,
                            "%s", error.text);
}

inbox_result
redis_session_init(struct redis_session *session, const struct inbox_redis_options *options,
                   struct inbox_error *reterr)
{
    *session = (struct redis_session){.link = {.fd = -1}};
    session->timeout_us = options->timeout_ms * CLOCK_MS_US;
    (void)snprintf(session->database, sizeof(session->database), "%u", options->database);
    backoff_init(&session->backoff, BACKOFF_INITIAL_US, options->backoff_max_ms * CLOCK_MS_US);
    random_seed(&session->random, random_fresh_seed());
    if (!copy_texts(session, options)) {
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for the options");
    }
    const inbox_result code = options->tls ? set_up_tls(session, reterr) : INBOX_OK;
    return code != INBOX_OK ? code
                            : redis_link_init(&session->link, options->host, options->port,
                                              options->tls ? &session->tls : NULL, reterr);
}

void
redis_session_done(struct redis_session *session)
{
    redis_link_done(&session->link);
    if (session->password != NULL) {
        explicit_bzero(session->password, strlen(session->password));
    }
    for (size_t i = 0; i < sizeof(session->files) / sizeof(session->files[0]); i++) {
        free(session->files[i]);
    }
    free(session->tls_name);
    free(session->username);
    free(session->password);
    free(session->epoch_key);
}

/* Error replies which mean that this server is of no use now; another or a later connection may be. */
static bool
is_outage(const char *error)
{
    static const char *const prefixes[] = {"LOADING ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN "};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(error, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void
rest(struct redis_session *session)
{
    redis_link_close(&session->link);
    session->rest_until_us =
        clock_monotonic_us() + backoff_next_us(&session->backoff, &session->random);
}

static inbox_result
call(struct redis_session *session, size_t count, const char **words, const size_t *lengths,
     redisReply **ret_reply, struct inbox_error *reterr)
{
    redisReply *reply = NULL;
    inbox_result code = redis_link_call(&session->link, count, words, lengths, session->deadline_us,
                                        &reply, reterr);
    if (code == INBOX_OK && reply->type == REDIS_REPLY_ERROR) {
        const bool outage = is_outage(reply->str);
        code =
            inbox_fail(reterr, outage ? INBOX_CONNECTION : INBOX_DATABASE, "Redis: %s", reply->str);
        freeReplyObject(reply);
    }
    if (code == INBOX_OK) {
        *ret_reply = reply;
    }
    return code;
}

inbox_result
redis_session_call(struct redis_session *session, size_t count, const char **words,
                   const size_t *lengths, redisReply **ret_reply, struct inbox_error *reterr)
{
    const inbox_result code = call(session, count, words, lengths, ret_reply, reterr);
    if (code == INBOX_CONNECTION) {
        rest(session);
    }
    return code;
}

/* Sends a command of words that end with NULL, whose reply does not matter. */
static inbox_result
say(struct redis_session *session, const char **words, struct inbox_error *reterr)
{
    size_t lengths[4];
    size_t count = 0;
    for (; words[count] != NULL; count++) {
        lengths[count] = strlen(words[count]);
    }
    redisReply *reply = NULL;
    const inbox_result code = call(session, count, words, lengths, &reply, reterr);
    if (code == INBOX_OK) {
        freeReplyObject(reply);
    }
    return code;
}

static inbox_result
log_in(struct redis_session *session, struct inbox_error *reterr)
{
    if (session->password == NULL) {
        return INBOX_OK;
    }
    const char *words[4] = {"AUTH", session->username, session->password, NULL};
    if (session->username == NULL) {
        words[1] = session->password;
        words[2] = NULL;
    }
    return say(session, words, reterr);
}

static inbox_result
select_database(struct redis_session *session, struct inbox_error *reterr)
{
    const char *words[] = {"SELECT", session->database, NULL};
    return strcmp(session->database, "0") == 0 ? INBOX_OK : say(session, words, reterr);
}

/* *ret_run_id is "" if the server does not tell it. */
static inbox_result
ask_run_id(struct redis_session *session, char ret_run_id[RUN_ID_BYTES], struct inbox_error *reterr)
{
    static const char label[] = "run_id:";
    const char *words[] = {"INFO", "server"};
    const size_t lengths[] = {4, 6};
    redisReply *reply = NULL;
    ret_run_id[0] = '\0';
    const inbox_result code = call(session, 2, words, lengths, &reply, reterr);
    if (code != INBOX_OK) {
        return code == INBOX_DATABASE ? INBOX_OK : code; /* not allowed for this user */
    }
    const char *at = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, label) : NULL;
    if (at != NULL) {
        at += strlen(label);
        const size_t length = strspn(at, "0123456789abcdef");
        (void)snprintf(ret_run_id, RUN_ID_BYTES, "%.*s", (int)length, at);
    }
    freeReplyObject(reply);
    return INBOX_OK;
}

static bool
is_texts(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           reply->element[1]->type == REDIS_REPLY_STRING &&
           reply->element[0]->len < REDIS_EPOCH_BYTES;
}

/* A handle that already knows an epoch compares it. A new handle can only see whether the epoch was created under
 * another process. */
static void
take_epoch(struct redis_session *session, const char *epoch, const char *replaced)
{
    const bool known = session->epoch[0] != '\0';
    if (known ? strcmp(session->epoch, epoch) != 0 : replaced[0] != '\0') {
        session->lost = true;
        session->lost_in_call = true;
    }
    (void)snprintf(session->epoch, sizeof(session->epoch), "%s", epoch);
}

static inbox_result
establish_epoch(struct redis_session *session, struct inbox_error *reterr)
{
    char run_id[RUN_ID_BYTES];
    char random[33];
    char epoch[REDIS_EPOCH_BYTES];
    redisReply *reply = NULL;
    inbox_result code = ask_run_id(session, run_id, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    redis_random_hex(random, 16);
    (void)snprintf(epoch, sizeof(epoch), "%s:%s", run_id, random);
    const char *words[] = {"EVAL", lua_establish, "1", session->epoch_key, run_id, epoch};
    const size_t lengths[] = {
        4, strlen(lua_establish), 1, strlen(session->epoch_key), strlen(run_id), strlen(epoch)};
    code = call(session, 6, words, lengths, &reply, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    if (is_texts(reply)) {
        take_epoch(session, reply->element[0]->str, reply->element[1]->str);
    } else {
        code = inbox_fail(reterr, INBOX_DATABASE, "Redis: the key %s holds something else",
                          session->epoch_key);
    }
    freeReplyObject(reply);
    return code;
}

static inbox_result
open_connection(struct redis_session *session, struct inbox_error *reterr)
{
    inbox_result code = redis_link_connect(&session->link, session->deadline_us, reterr);
    if (code == INBOX_OK) {
        code = log_in(session, reterr);
    }
    if (code == INBOX_OK) {
        code = select_database(session, reterr);
    }
    if (code == INBOX_OK) {
        code = establish_epoch(session, reterr);
    }
    return code;
}

inbox_result
redis_session_begin(struct redis_session *session, struct inbox_error *reterr)
{
    const uint64_t now_us = clock_monotonic_us();
    session->deadline_us = now_us + session->timeout_us;
    session->lost_in_call = false;
    if (redis_link_is_open(&session->link)) {
        return INBOX_OK;
    }
    if (now_us < session->rest_until_us) {
        return inbox_fail(reterr, INBOX_CONNECTION, "Redis: left alone for %llu ms after a failure",
                          (unsigned long long)(session->rest_until_us - now_us) / CLOCK_MS_US + 1);
    }
    const inbox_result code = open_connection(session, reterr);
    if (code == INBOX_OK) {
        backoff_reset(&session->backoff);
    } else {
        rest(session);
    }
    return code;
}

void
redis_session_note_loss(struct redis_session *session)
{
    session->lost = true;
    session->lost_in_call = true;
    if (establish_epoch(session, NULL) != INBOX_OK) {
        /* One report is enough: the epoch that the next connection finds is not reported again. */
        session->epoch[0] = '\0';
        redis_link_close(&session->link);
    }
}
