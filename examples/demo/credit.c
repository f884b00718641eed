/* credit.c - a complete consumer: money that left an account of one bank arrives at the account with the same number here,
 * once, whatever happens to the servers or to this process.
 *
 *     credit_pg BROKER_URI QUEUE DSN [REDIS_HOST REDIS_PORT]          or credit_mysql
 *
 * Ends on SIGTERM or SIGINT, after the transaction in hand. */
#include "credit.h"

#include <inbox/inbox_redis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void
on_signal(int number)
{
    (void)number;
    credit_stop();
}

static void
report(void *context, inbox_report_level level, const char *event, const char *text)
{
    static const char *const levels[] = {"", "error", "warning", "info"};
    (void)context;
    (void)fprintf(stderr, "%s %s: %s\n", levels[level], event, text);
}

static inbox_redis *
make_redis(const char *consumer, const char *host, const char *port)
{
    struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
    struct inbox_error error;
    inbox_redis *redis = NULL;
    options.consumer = consumer;
    options.host = host;
    options.port = (uint16_t)strtoul(port, NULL, 10);
    if (inbox_redis_new(&options, &redis, &error) != INBOX_OK) {
        (void)fprintf(stderr, "no hint: %s\n", error.message); /* it also works without */
    }
    return redis;
}

static int
consume(const struct credit *credit)
{
    struct inbox_error error;
    if (credit_new(credit, &error) != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    const inbox_result result = credit_run(&error);
    if (result != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
    }
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    credit_free();
    return result == INBOX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
    if (argc != 4 && argc != 6) {
        (void)fprintf(stderr, "usage: %s BROKER_URI QUEUE DSN [REDIS_HOST REDIS_PORT]\n", argv[0]);
        return 64;
    }
    struct credit credit = {
        .broker_uri = argv[1],
        .queue = argv[2],
        .dsn = argv[3],
        .report = report,
        .retry_max_ms = 2000, /* to be back soon after a server is */
    };
    inbox_redis *redis = argc == 6 ? make_redis(credit.queue, argv[4], argv[5]) : NULL;
    if (redis != NULL) {
        credit.hint.hint = redis;
        credit.hint.seen = inbox_redis_hint_seen;
        credit.hint.remember = inbox_redis_hint_remember;
    }
    const int status = consume(&credit);
    inbox_redis_free(redis);
    return status;
}
