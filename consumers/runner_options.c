#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "consumers/runner_options.h"
#include "consumers/runner_private.h"

static const char *const required_names[] = {"broker_uri", "queue", "consumer"};

static inbox_result
check_texts(const struct runner_options *options, const struct runner_application *application,
            struct inbox_error *reterr)
{
    const char *const required[] = {options->broker_uri, options->queue, options->consumer};
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (required[i] == NULL || required[i][0] == '\0') {
            return runner_fail(reterr, INBOX_INVALID, "%s is missing", required_names[i]);
        }
    }
    if (strlen(options->queue) > 255) {
        return runner_fail(reterr, INBOX_INVALID, "queue is longer than 255 bytes");
    }
    const size_t consumer_length = strlen(options->consumer);
    if (consumer_length > INBOX_NAME_MAX_BYTES ||
        !utf8_is_text(options->consumer, consumer_length)) {
        return runner_fail(reterr, INBOX_INVALID,
                           "consumer is longer than %d bytes or not valid UTF-8",
                           INBOX_NAME_MAX_BYTES);
    }
    if ((options->dsn != NULL) == application->connects) {
        return runner_fail(reterr, INBOX_INVALID, "give exactly one of dsn and connect");
    }
    if (!application->applies) {
        return runner_fail(reterr, INBOX_INVALID, "apply is missing");
    }
    if ((options->hint.seen == NULL) != (options->hint.remember == NULL)) {
        return runner_fail(reterr, INBOX_INVALID, "a hint needs both of seen and remember");
    }
    return INBOX_OK;
}

static inbox_result
check_numbers(const struct runner_options *options, struct inbox_error *reterr)
{
    const struct {
        const char *name;
        uint32_t value, low, high;
    } ranges[] = {
        {"batch_max", options->batch_max, 1, 10000},
        {"batch_wait_ms", options->batch_wait_ms, 0, 10000},
        {"prefetch", options->prefetch, options->batch_max, UINT16_MAX},
        {"attempts_max", options->attempts_max, 1, 1000000},
        {"retry_max_ms", options->retry_max_ms, 1, 3600000},
        {"retry_initial_ms", options->retry_initial_ms, 1, options->retry_max_ms},
        {"heartbeat_s", options->heartbeat_s, 1, 3600},
        {"stop_timeout_ms", options->stop_timeout_ms, 1, 3600000},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high) {
            return runner_fail(reterr, INBOX_INVALID, "%s = %u: expected %u to %u", ranges[i].name,
                               ranges[i].value, ranges[i].low, ranges[i].high);
        }
    }
    return INBOX_OK;
}

static inbox_result
copy_texts(struct runner_options *copy, struct inbox_error *reterr)
{
    const char **const texts[] = {&copy->broker_uri, &copy->broker_password, &copy->queue,
                                  &copy->consumer, &copy->dsn};
    bool complete = true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *text = *texts[i];
        *texts[i] = text != NULL ? strdup(text) : NULL;
        complete = complete && (text == NULL || *texts[i] != NULL);
    }
    return complete ? INBOX_OK : runner_fail(reterr, INBOX_NO_MEMORY, "out of memory");
}

inbox_result
runner_options_copy(const struct runner_options *options,
                    const struct runner_application *application, struct runner_options *ret_copy,
                    struct amqp_endpoint *ret_endpoint, struct inbox_error *reterr)
{
    struct runner_options copy = *options;
    if (copy.prefetch == 0) {
        copy.prefetch = 2 * copy.batch_max;
    }
    inbox_result result = check_texts(&copy, application, reterr);
    if (result == INBOX_OK) {
        result = check_numbers(&copy, reterr);
    }
    if (result != INBOX_OK) {
        return result;
    }
    struct error error;
    if (copy.dsn != NULL && !application->check_dsn(copy.dsn, &error)) {
        return runner_fail(reterr, INBOX_INVALID, "dsn: %s", error.text);
    }
    if (!amqp_uri_parse(copy.broker_uri, ret_endpoint, &error)) {
        return runner_fail(reterr, INBOX_INVALID, "broker_uri: %s", error.text);
    }
    result = copy_texts(&copy, reterr);
    *ret_copy = copy;
    return result;
}

void
runner_options_done(struct runner_options *options)
{
    const char *const texts[] = {options->broker_uri, options->broker_password, options->queue,
                                 options->consumer, options->dsn};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free((void *)(uintptr_t)texts[i]);
    }
    *options = (struct runner_options){0};
}
