/* consumers/inbox_private.h - shared by the inbox libraries: failures, and the rules for names and ids. */
#ifndef CONSUMERS_INBOX_PRIVATE_H
#define CONSUMERS_INBOX_PRIVATE_H

#include <inbox/inbox.h>

#include "base/error.h"

/* Fills *reterr (which may be NULL) and returns `code`, so that a failing function can `return inbox_fail(...)`. */
inbox_result inbox_fail(struct inbox_error *reterr, inbox_result code, const char *format, ...)
    PRINTF_LIKE(3, 4);

inbox_result inbox_check_consumer(const char *consumer, struct inbox_error *reterr) MUST_CHECK;

/* The error message names an invalid id by its index. */
inbox_result inbox_check_ids(const struct inbox_id *ids, size_t id_count,
                             struct inbox_error *reterr) MUST_CHECK;

inbox_result inbox_check_key(const void *key, size_t key_length,
                             struct inbox_error *reterr) MUST_CHECK;

inbox_result inbox_check_forget(uint64_t age_s, uint32_t limit,
                                struct inbox_error *reterr) MUST_CHECK;

#endif
