#include <inbox/inbox_redis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/inbox_private.h"
#include "consumers/redis/claim_lua.h"
#include "consumers/redis/done_lua.h"
#include "consumers/redis/release_lua.h"
#include "consumers/redis/remember_lua.h"
#include "consumers/redis_session.h"

#define PREFIX_MAX_BYTES 64
#define TIMEOUT_MAX_MS 60000
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 3600000
#define LEASE_MAX_MS 86400000
#define TTL_MAX_S UINT64_C(315360000) /* ten years */

struct inbox_redis {
    struct redis_session session;
    char *hint_head; /* what the key of a hint starts with, before the id */
    char *claim_head;
    char hint_ttl_ms[24];
    char lease_ms[24];
    char done_ttl_ms[24];
    uint64_t lease;
};

/* A command under way: its words, and the keys among them in one piece of memory. */
struct command {
    const char **words;
    size_t *lengths;
    size_t count;
    char *keys;
    size_t keys_length;
};

static inbox_result
check_number(const char *field, uint64_t value, uint64_t min, uint64_t max,
             struct inbox_error *reterr)
{
    if (value >= min && value <= max) {
        return INBOX_OK;
    }
    return inbox_fail(reterr, INBOX_INVALID, "%s must be %" PRIu64 " to %" PRIu64, field, min, max);
}

static inbox_result
check_not_null(const char *argument, const void *value, struct inbox_error *reterr)
{
    return value != NULL ? INBOX_OK : inbox_fail(reterr, INBOX_INVALID, "%s is NULL", argument);
}

/* The size of the struct before it had members for TLS. */
#define OLDEST_SIZE offsetof(struct inbox_redis_options, tls)

/* A larger struct comes from a later header. Members that this library does not know must be unset, or they would be
 * ignored silently. */
static inbox_result
check_struct(const struct inbox_redis_options *options, struct inbox_error *reterr)
{
    if (options == NULL || options->struct_size < OLDEST_SIZE) {
        return inbox_fail(reterr, INBOX_INVALID, "start from INBOX_REDIS_OPTIONS_INIT");
    }
    const char *bytes = (const char *)options;
    for (size_t i = sizeof(*options); i < options->struct_size; i++) {
        if (bytes[i] != 0) {
            return inbox_fail(reterr, INBOX_INVALID,
                              "an option is set that this version of the library lacks");
        }
    }
    return INBOX_OK;
}

static inbox_result
check_texts(const struct inbox_redis_options *options, struct inbox_error *reterr)
{
    if (options->host == NULL || options->host[0] == '\0') {
        return inbox_fail(reterr, INBOX_INVALID, "host is missing");
    }
    if (options->host[0] != '/' && strstr(options->host, "://") != NULL) {
        return inbox_fail(reterr, INBOX_INVALID,
                          "host is a name, an address or the path of a socket, not a URL");
    }
    if (options->host[0] != '/' && options->port == 0) {
        return inbox_fail(reterr, INBOX_INVALID, "port must be 1 to 65535");
    }
    if (options->prefix == NULL || strlen(options->prefix) > PREFIX_MAX_BYTES) {
        return inbox_fail(reterr, INBOX_INVALID, "prefix is missing or longer than %d bytes",
                          PREFIX_MAX_BYTES);
    }
    if (options->username != NULL && options->password == NULL) {
        return inbox_fail(reterr, INBOX_INVALID, "username needs a password");
    }
    return inbox_check_consumer(options->consumer, reterr);
}

static inbox_result
check_tls(const struct inbox_redis_options *options, struct inbox_error *reterr)
{
    if (!options->tls && (options->ca_file != NULL || options->cert_file != NULL ||
                          options->key_file != NULL || options->tls_name != NULL)) {
        return inbox_fail(
            reterr, INBOX_INVALID,
            "ca_file, cert_file, key_file and tls_name are for tls, which is not set");
    }
    if (options->tls && options->host[0] == '/') {
        return inbox_fail(reterr, INBOX_INVALID, "tls is for a host, not for the path of a socket");
    }
    if ((options->cert_file == NULL) != (options->key_file == NULL)) {
        return inbox_fail(reterr, INBOX_INVALID, "give cert_file and key_file, or neither");
    }
    return INBOX_OK;
}

static inbox_result
check_options(const struct inbox_redis_options *options, struct inbox_error *reterr)
{
    inbox_result code = check_texts(options, reterr);
    if (code == INBOX_OK) {
        code = check_tls(options, reterr);
    }
    if (code != INBOX_OK) {
        return code;
    }
    const struct {
        const char *field;
        uint64_t value;
        uint64_t min;
        uint64_t max;
    } numbers[] = {
        {"timeout_ms", options->timeout_ms, 1, TIMEOUT_MAX_MS},
        {"backoff_max_ms", options->backoff_max_ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS},
        {"hint_ttl_s", options->hint_ttl_s, 1, TTL_MAX_S},
        {"lease_ms", options->lease_ms, 1, LEASE_MAX_MS},
        {"done_ttl_s", options->done_ttl_s, 1, TTL_MAX_S},
    };
    for (size_t i = 0; code == INBOX_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        code = check_number(numbers[i].field, numbers[i].value, numbers[i].min, numbers[i].max,
                            reterr);
    }
    return code;
}

/* The length keeps consumer "a" with id "b:c" apart from consumer "a:b" with id "c". NULL: no memory. */
static char *
key_head(const struct inbox_redis_options *options, char kind)
{
    char *head = NULL;
    if (asprintf(&head, "%s%c:%zu:%s:", options->prefix, kind, strlen(options->consumer),
                 options->consumer) < 0) {
        return NULL;
    }
    return head;
}

static inbox_result
init(struct inbox_redis *redis, const struct inbox_redis_options *options,
     struct inbox_error *reterr)
{
    redis->lease = options->lease_ms;
    (void)snprintf(redis->lease_ms, sizeof(redis->lease_ms), "%" PRIu64, options->lease_ms);
    (void)snprintf(redis->hint_ttl_ms, sizeof(redis->hint_ttl_ms), "%" PRIu64,
                   options->hint_ttl_s * 1000);
    (void)snprintf(redis->done_ttl_ms, sizeof(redis->done_ttl_ms), "%" PRIu64,
                   options->done_ttl_s * 1000);
    redis->hint_head = key_head(options, 'h');
    redis->claim_head = key_head(options, 'c');
    if (redis->hint_head == NULL || redis->claim_head == NULL) {
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for the options");
    }
    return redis_session_init(&redis->session, options, reterr);
}

/* All members that this library knows: those of an older header, and the others unset. */
static inbox_result
take_options(const struct inbox_redis_options *options, struct inbox_redis_options *ret_all,
             struct inbox_error *reterr)
{
    const inbox_result code = check_struct(options, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    const size_t size = options->struct_size;
    memset(ret_all, 0, sizeof(*ret_all));
    memcpy(ret_all, options, size < sizeof(*ret_all) ? size : sizeof(*ret_all));
    return check_options(ret_all, reterr);
}

inbox_result
inbox_redis_new(const struct inbox_redis_options *options, inbox_redis **ret_redis,
                struct inbox_error *reterr)
{
    struct inbox_redis_options all;
    inbox_result code = take_options(options, &all, reterr);
    if (code == INBOX_OK) {
        code = check_not_null("ret_redis", ret_redis, reterr);
    }
    if (code != INBOX_OK) {
        return code;
    }
    struct inbox_redis *redis = calloc(1, sizeof(*redis));
    if (redis == NULL) {
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for a handle");
    }
    redis->session.link.fd = -1;
    code = init(redis, &all, reterr);
    if (code != INBOX_OK) {
        inbox_redis_free(redis);
        return code;
    }
    *ret_redis = redis;
    return INBOX_OK;
}

void
inbox_redis_free(inbox_redis *redis)
{
    if (redis == NULL) {
        return;
    }
    redis_session_done(&redis->session);
    free(redis->hint_head);
    free(redis->claim_head);
    free(redis);
}

static void
command_done(struct command *command)
{
    free(command->words);
    free(command->lengths);
    free(command->keys);
}

/* Room for the keys of `ids` and `words_max` words. */
static inbox_result
command_init(struct command *command, const char *head, const struct inbox_id *ids, size_t id_count,
             size_t words_max, struct inbox_error *reterr)
{
    const size_t head_length = strlen(head);
    size_t keys_size = 1;
    for (size_t i = 0; i < id_count; i++) {
        keys_size += head_length + ids[i].length;
    }
    *command = (struct command){0};
    command->words = calloc(words_max, sizeof(*command->words));
    command->lengths = calloc(words_max, sizeof(*command->lengths));
    command->keys = malloc(keys_size);
    if (command->words == NULL || command->lengths == NULL || command->keys == NULL) {
        command_done(command);
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for %zu messages", id_count);
    }
    return INBOX_OK;
}

static void
add_bytes(struct command *command, const char *bytes, size_t length)
{
    command->words[command->count] = bytes;
    command->lengths[command->count] = length;
    command->count++;
}

static void
add_word(struct command *command, const char *word)
{
    add_bytes(command, word, strlen(word));
}

static void
add_key(struct command *command, const char *head, const struct inbox_id *id)
{
    const size_t head_length = strlen(head);
    char *key = command->keys + command->keys_length;
    memcpy(key, head, head_length);
    memcpy(key + head_length, id->bytes, id->length);
    command->keys_length += head_length + id->length;
    add_bytes(command, key, head_length + id->length);
}

static inbox_result
call(struct inbox_redis *redis, const struct command *command, redisReply **ret_reply,
     struct inbox_error *reterr)
{
    return redis_session_call(&redis->session, command->count, command->words, command->lengths,
                              ret_reply, reterr);
}

static inbox_result
unexpected(struct inbox_error *reterr)
{
    return inbox_fail(reterr, INBOX_DATABASE, "Redis: a reply that was not expected");
}

static inbox_result
lost(struct inbox_error *reterr)
{
    return inbox_fail(reterr, INBOX_REDIS_LOST,
                      "Redis has lost data, or may have: what was recorded there may be missing");
}

static bool
is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* The reply to MGET: the epoch, then a value or nil for each id. */
static inbox_result
read_seen(struct inbox_redis *redis, const redisReply *reply, size_t id_count, bool *ret_seen,
          struct inbox_error *reterr)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != id_count + 1) {
        return unexpected(reterr);
    }
    if (!is_text(reply->element[0], redis->session.epoch)) {
        redis_session_note_loss(&redis->session);
        return lost(reterr);
    }
    for (size_t i = 0; i < id_count; i++) {
        ret_seen[i] = reply->element[i + 1]->type == REDIS_REPLY_STRING;
    }
    return INBOX_OK;
}

static inbox_result
ask_seen(struct inbox_redis *redis, const struct inbox_id *ids, size_t id_count, bool *ret_seen,
         struct inbox_error *reterr)
{
    struct command command;
    redisReply *reply = NULL;
    inbox_result code =
        command_init(&command, redis->hint_head, ids, id_count, id_count + 2, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    add_word(&command, "MGET");
    add_word(&command, redis->session.epoch_key);
    for (size_t i = 0; i < id_count; i++) {
        add_key(&command, redis->hint_head, &ids[i]);
    }
    code = call(redis, &command, &reply, reterr);
    command_done(&command);
    if (code == INBOX_OK) {
        code = read_seen(redis, reply, id_count, ret_seen, reterr);
        freeReplyObject(reply);
    }
    return code;
}

/* What every call starts with: valid ids, an open connection. */
static inbox_result
begin(struct inbox_redis *redis, const struct inbox_id *ids, size_t id_count,
      struct inbox_error *reterr)
{
    inbox_result code = check_not_null("redis", redis, reterr);
    if (code == INBOX_OK) {
        code = inbox_check_ids(ids, id_count, reterr);
    }
    return code == INBOX_OK ? redis_session_begin(&redis->session, reterr) : code;
}

inbox_result
inbox_redis_seen(inbox_redis *redis, const struct inbox_id *ids, size_t id_count, bool *ret_seen,
                 struct inbox_error *reterr)
{
    inbox_result code = id_count == 0 ? INBOX_OK : check_not_null("ret_seen", ret_seen, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    for (size_t i = 0; i < id_count; i++) {
        ret_seen[i] = false;
    }
    code = begin(redis, ids, id_count, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    if (redis->session.lost_in_call) {
        return lost(reterr);
    }
    return ask_seen(redis, ids, id_count, ret_seen, reterr);
}

/* The scripts answer {1 if the epoch is another, text}. */
static inbox_result
read_script(struct inbox_redis *redis, const redisReply *reply, struct inbox_error *reterr)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        return unexpected(reterr);
    }
    if (reply->element[0]->integer != 0) {
        redis_session_note_loss(&redis->session);
    }
    return INBOX_OK;
}

static inbox_result
run_script(struct inbox_redis *redis, struct command *command, redisReply **ret_reply,
           struct inbox_error *reterr)
{
    redisReply *reply = NULL;
    inbox_result code = call(redis, command, &reply, reterr);
    command_done(command);
    if (code != INBOX_OK) {
        return code;
    }
    code = read_script(redis, reply, reterr);
    if (code != INBOX_OK) {
        freeReplyObject(reply);
        return code;
    }
    *ret_reply = reply;
    return INBOX_OK;
}

static inbox_result
send_remember(struct inbox_redis *redis, const struct inbox_id *ids, size_t id_count,
              struct inbox_error *reterr)
{
    struct command command;
    char key_count[24];
    redisReply *reply = NULL;
    inbox_result code =
        command_init(&command, redis->hint_head, ids, id_count, id_count + 6, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    (void)snprintf(key_count, sizeof(key_count), "%zu", id_count + 1);
    add_word(&command, "EVAL");
    add_word(&command, lua_remember);
    add_word(&command, key_count);
    add_word(&command, redis->session.epoch_key);
    for (size_t i = 0; i < id_count; i++) {
        add_key(&command, redis->hint_head, &ids[i]);
    }
    add_word(&command, redis->session.epoch);
    add_word(&command, redis->hint_ttl_ms);
    code = run_script(redis, &command, &reply, reterr);
    if (code == INBOX_OK) {
        freeReplyObject(reply);
    }
    return code;
}

inbox_result
inbox_redis_remember(inbox_redis *redis, const struct inbox_id *ids, size_t id_count,
                     struct inbox_error *reterr)
{
    inbox_result code = begin(redis, ids, id_count, reterr);
    if (code == INBOX_OK) {
        code = send_remember(redis, ids, id_count, reterr);
    }
    return code == INBOX_OK && redis->session.lost_in_call ? lost(reterr) : code;
}

/* One of the scripts for a claim: KEYS epoch, claim; ARGV epoch, token and, if it is not NULL, a time. */
static inbox_result
run_claim_script(struct inbox_redis *redis, const char *script, const struct inbox_id *id,
                 const char *token, const char *time_ms, redisReply **ret_reply,
                 struct inbox_error *reterr)
{
    struct command command;
    const inbox_result code = command_init(&command, redis->claim_head, id, 1, 8, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    add_word(&command, "EVAL");
    add_word(&command, script);
    add_word(&command, "2");
    add_word(&command, redis->session.epoch_key);
    add_key(&command, redis->claim_head, id);
    add_word(&command, redis->session.epoch);
    add_word(&command, token);
    if (time_ms != NULL) {
        add_word(&command, time_ms);
    }
    return run_script(redis, &command, ret_reply, reterr);
}

/* True once for each loss. */
static bool
tell_loss(struct inbox_redis *redis)
{
    const bool tell = redis->session.lost;
    redis->session.lost = false;
    return tell;
}

static inbox_verdict
read_claim(const struct inbox_redis *redis, const char *answer, const char *token,
           struct inbox_redis_lease *ret_lease)
{
    *ret_lease = (struct inbox_redis_lease){{0}, 0};
    if (strcmp(answer, "first") == 0) {
        memcpy(ret_lease->token, token, sizeof(ret_lease->token));
        ret_lease->left_ms = redis->lease;
        return INBOX_FIRST;
    }
    if (strcmp(answer, "duplicate") == 0) {
        return INBOX_DUPLICATE;
    }
    const long long left_ms = strtoll(answer, NULL, 10);
    ret_lease->left_ms = left_ms > 0 ? (uint64_t)left_ms : 0;
    return INBOX_BUSY;
}

inbox_result
inbox_redis_claim(inbox_redis *redis, const void *message_id, size_t message_id_length,
                  inbox_verdict *ret_verdict, struct inbox_redis_lease *ret_lease,
                  struct inbox_error *reterr)
{
    const struct inbox_id id = {message_id, message_id_length};
    char token[33];
    redisReply *reply = NULL;
    inbox_result code = check_not_null("ret_verdict", ret_verdict, reterr);
    if (code == INBOX_OK) {
        code = check_not_null("ret_lease", ret_lease, reterr);
    }
    if (code == INBOX_OK) {
        code = begin(redis, &id, 1, reterr);
    }
    if (code != INBOX_OK) {
        return code;
    }
    if (tell_loss(redis)) {
        return lost(reterr);
    }
    redis_random_hex(token, 16);
    code = run_claim_script(redis, lua_claim, &id, token, redis->lease_ms, &reply, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    if (tell_loss(redis)) {
        code = lost(reterr);
    } else {
        *ret_verdict = read_claim(redis, reply->element[1]->str, token, ret_lease);
    }
    freeReplyObject(reply);
    return code;
}

static inbox_result
end_lease(struct inbox_redis *redis, const char *script, const struct inbox_id *id,
          const struct inbox_redis_lease *lease, const char *time_ms, struct inbox_error *reterr)
{
    redisReply *reply = NULL;
    inbox_result code = check_not_null("lease", lease, reterr);
    if (code == INBOX_OK) {
        code = begin(redis, id, 1, reterr);
    }
    if (code == INBOX_OK && lease->token[0] == '\0') {
        code = inbox_fail(reterr, INBOX_INVALID, "this lease is not ours");
    }
    if (code == INBOX_OK) {
        code = run_claim_script(redis, script, id, lease->token, time_ms, &reply, reterr);
    }
    if (code != INBOX_OK) {
        return code;
    }
    if (!is_text(reply->element[1], "held")) {
        code = inbox_fail(reterr, INBOX_LEASE_LOST, "the lease had ended before");
    }
    freeReplyObject(reply);
    return code;
}

inbox_result
inbox_redis_done(inbox_redis *redis, const void *message_id, size_t message_id_length,
                 const struct inbox_redis_lease *lease, struct inbox_error *reterr)
{
    const struct inbox_id id = {message_id, message_id_length};
    const char *time_ms = redis != NULL ? redis->done_ttl_ms : NULL; /* end_lease reports it */
    return end_lease(redis, lua_done, &id, lease, time_ms, reterr);
}

inbox_result
inbox_redis_release(inbox_redis *redis, const void *message_id, size_t message_id_length,
                    const struct inbox_redis_lease *lease, struct inbox_error *reterr)
{
    const struct inbox_id id = {message_id, message_id_length};
    return end_lease(redis, lua_release, &id, lease, NULL, reterr);
}

/* The ids that are valid, and at which place each stood. */
struct selection {
    struct inbox_id *ids;
    size_t *places;
    size_t count;
};

static void
selection_done(struct selection *selection)
{
    free(selection->ids);
    free(selection->places);
}

static bool
selection_init(struct selection *selection, const char *const *message_ids, size_t count)
{
    *selection = (struct selection){
        .ids = calloc(count + 1, sizeof(*selection->ids)),
        .places = calloc(count + 1, sizeof(*selection->places)),
    };
    if (selection->ids == NULL || selection->places == NULL) {
        selection_done(selection);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *text = message_ids == NULL || message_ids[i] == NULL ? "" : message_ids[i];
        const struct inbox_id id = {text, strnlen(text, INBOX_NAME_MAX_BYTES + 1)};
        if (inbox_check_ids(&id, 1, NULL) == INBOX_OK) {
            selection->places[selection->count] = i;
            selection->ids[selection->count++] = id;
        }
    }
    return true;
}

static void
seen_of_selection(struct inbox_redis *redis, const struct selection *selection, bool *ret_seen)
{
    bool *seen = calloc(selection->count + 1, sizeof(*seen));
    if (seen == NULL) {
        return;
    }
    /* The result says why something is not known; here that does not matter. */
    (void)inbox_redis_seen(redis, selection->ids, selection->count, seen, NULL);
    for (size_t i = 0; i < selection->count; i++) {
        ret_seen[selection->places[i]] = seen[i];
    }
    free(seen);
}

void
inbox_redis_hint_seen(void *redis, const char *const *message_ids, size_t count, bool *ret_seen)
{
    struct selection selection;
    for (size_t i = 0; i < count; i++) {
        ret_seen[i] = false;
    }
    if (selection_init(&selection, message_ids, count)) {
        seen_of_selection(redis, &selection, ret_seen);
        selection_done(&selection);
    }
}

void
inbox_redis_hint_remember(void *redis, const char *const *message_ids, size_t count)
{
    struct selection selection;
    if (selection_init(&selection, message_ids, count)) {
        (void)inbox_redis_remember(redis, selection.ids, selection.count, NULL);
        selection_done(&selection);
    }
}
