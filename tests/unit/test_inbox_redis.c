#include <criterion/criterion.h>
#include <inbox/inbox_redis.h>
#include <string.h>

/* Tests that need a server are in tests/integration. */

static struct inbox_error error;

static void
expect(const struct inbox_redis_options *options, inbox_result wanted, const char *words)
{
    inbox_redis *redis = NULL;
    const inbox_result result = inbox_redis_new(options, &redis, &error);
    cr_assert_eq(result, wanted, "%s: %s", words, inbox_result_name(result));
    cr_assert_eq(redis != NULL, wanted == INBOX_OK);
    if (wanted != INBOX_OK) {
        cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
        cr_assert_eq(error.code, wanted);
    }
    inbox_redis_free(redis);
}

#define REFUSES(field, value, words)                                   \
    do {                                                               \
        struct inbox_redis_options changed = INBOX_REDIS_OPTIONS_INIT; \
        changed.consumer = "c";                                        \
        expect(&changed, INBOX_OK, "");                                \
        changed.field = value;                                         \
        expect(&changed, INBOX_INVALID, words);                        \
    } while (0)

Test(inbox_redis, options_are_checked)
{
    char long_prefix[66];
    memset(long_prefix, 'x', sizeof(long_prefix));
    long_prefix[65] = '\0';
    REFUSES(struct_size, 8, "INBOX_REDIS_OPTIONS_INIT");
    REFUSES(consumer, NULL, "consumer");
    REFUSES(consumer, "\xff", "UTF-8");
    REFUSES(host, NULL, "host");
    REFUSES(host, "", "host");
    REFUSES(host, "redis://127.0.0.1", "not a URL");
    REFUSES(port, 0, "port must be 1 to 65535");
    REFUSES(prefix, NULL, "prefix");
    REFUSES(prefix, long_prefix, "prefix");
    REFUSES(username, "me", "password");
    REFUSES(timeout_ms, 0, "timeout_ms must be 1 to 60000");
    REFUSES(timeout_ms, 60001, "timeout_ms");
    REFUSES(backoff_max_ms, 99, "backoff_max_ms");
    REFUSES(hint_ttl_s, 0, "hint_ttl_s");
    REFUSES(hint_ttl_s, UINT64_MAX, "hint_ttl_s");
    REFUSES(lease_ms, 0, "lease_ms");
    REFUSES(lease_ms, 86400001, "lease_ms");
    REFUSES(done_ttl_s, 0, "done_ttl_s");
    expect(NULL, INBOX_INVALID, "INBOX_REDIS_OPTIONS_INIT");
    inbox_redis_free(NULL);
}

Test(inbox_redis, tls_is_for_hosts_and_has_files)
{
    struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
    REFUSES(ca_file, "/ca.pem", "for tls, which is not set");
    REFUSES(cert_file, "/cert.pem", "for tls, which is not set");
    REFUSES(key_file, "/key.pem", "for tls, which is not set");
    REFUSES(tls_name, "redis", "for tls, which is not set");
    options.consumer = "c";
    options.tls = true;
    expect(&options, INBOX_OK, "");
    options.cert_file = "/nowhere/cert.pem";
    expect(&options, INBOX_INVALID, "cert_file and key_file, or neither");
    options.key_file = "/nowhere/key.pem";
    expect(&options, INBOX_INVALID, "cannot use cert_file /nowhere/cert.pem");
    options.host = "/nowhere/redis.sock";
    expect(&options, INBOX_INVALID, "not for the path of a socket");
}

/* A program that was compiled before there was TLS gives a shorter struct. */
Test(inbox_redis, options_of_an_earlier_version)
{
    struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
    options.consumer = "c";
    options.struct_size = offsetof(struct inbox_redis_options, tls);
    options.ca_file = "what stands behind it in memory";
    options.tls = true;
    expect(&options, INBOX_OK, "");
    options.struct_size--;
    expect(&options, INBOX_INVALID, "INBOX_REDIS_OPTIONS_INIT");
}

Test(inbox_redis, a_socket_has_no_port)
{
    struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
    options.consumer = "c";
    options.host = "/nowhere/redis.sock";
    options.port = 0;
    expect(&options, INBOX_OK, "");
}

static void
expect_null(inbox_result result, const char *argument)
{
    cr_assert_eq(result, INBOX_INVALID, "%s: %s", argument, inbox_result_name(result));
    cr_assert(strstr(error.message, argument) != NULL && strstr(error.message, "is NULL") != NULL,
              "%s: %s", argument, error.message);
}

Test(inbox_redis, null_is_an_error_and_no_crash)
{
    struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
    const struct inbox_id id = {"a", 1};
    struct inbox_redis_lease lease = {"token", 1};
    inbox_verdict verdict;
    bool seen = true;
    inbox_redis *redis = NULL;
    options.consumer = "c";
    options.host = "/nowhere/redis.sock";
    expect_null(inbox_redis_new(&options, NULL, &error), "ret_redis");
    cr_assert_eq(inbox_redis_new(&options, &redis, &error), INBOX_OK);
    expect_null(inbox_redis_seen(NULL, &id, 1, &seen, &error), "redis");
    cr_assert_not(seen, "don't know");
    expect_null(inbox_redis_seen(redis, &id, 1, NULL, &error), "ret_seen");
    expect_null(inbox_redis_seen(redis, NULL, 1, &seen, &error), "ids");
    expect_null(inbox_redis_remember(NULL, &id, 1, &error), "redis");
    expect_null(inbox_redis_claim(NULL, "a", 1, &verdict, &lease, &error), "redis");
    expect_null(inbox_redis_claim(redis, "a", 1, NULL, &lease, &error), "ret_verdict");
    expect_null(inbox_redis_claim(redis, "a", 1, &verdict, NULL, &error), "ret_lease");
    expect_null(inbox_redis_done(NULL, "a", 1, &lease, &error), "redis");
    expect_null(inbox_redis_done(redis, "a", 1, NULL, &error), "lease");
    expect_null(inbox_redis_release(redis, "a", 1, NULL, &error), "lease");
    inbox_redis_hint_remember(redis, NULL, 1);
    inbox_redis_hint_seen(redis, NULL, 1, &seen);
    cr_assert_not(seen);
    inbox_redis_free(redis);
}

struct later {
    struct inbox_redis_options options;
    const char *added;
};

Test(inbox_redis, options_of_a_later_version)
{
    struct later later = {INBOX_REDIS_OPTIONS_INIT, NULL};
    later.options.struct_size = sizeof(later);
    later.options.consumer = "c";
    expect(&later.options, INBOX_OK, "");
    later.added = "x";
    expect(&later.options, INBOX_INVALID, "lacks");
}

Test(inbox_redis, without_a_server_nothing_is_known)
{
    const struct inbox_id ids[2] = {{"a", 1}, {"b", 1}};
    struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
    struct inbox_redis_lease lease = {{0}, 7};
    inbox_verdict verdict = INBOX_BUSY;
    bool seen[2] = {true, true};
    inbox_redis *redis = NULL;
    options.consumer = "c";
    options.host = "/nowhere/socket";
    cr_assert_eq(inbox_redis_new(&options, &redis, &error), INBOX_OK);
    cr_assert_eq(inbox_redis_seen(redis, ids, 2, seen, &error), INBOX_CONNECTION);
    cr_assert_not(seen[0] || seen[1]);
    cr_assert_eq(inbox_redis_remember(redis, ids, 2, NULL), INBOX_CONNECTION);
    cr_assert_eq(inbox_redis_claim(redis, "a", 1, &verdict, &lease, &error), INBOX_CONNECTION);
    cr_assert_eq(verdict, INBOX_BUSY);
    cr_assert_eq(lease.left_ms, 7u);
    cr_assert_eq(inbox_redis_claim(redis, "", 0, &verdict, &lease, &error), INBOX_INVALID);
    const char *const texts[] = {"a", NULL, ""};
    bool hinted[3] = {true, true, true};
    inbox_redis_hint_seen(redis, texts, 3, hinted);
    cr_assert_not(hinted[0] || hinted[1] || hinted[2]);
    inbox_redis_hint_remember(redis, texts, 3);
    inbox_redis_free(redis);
}
