/* tests/integration/message_fixture.h - messages that an application writes, and checks of a writer library's
 * results. */
#ifndef TESTS_INTEGRATION_MESSAGE_FIXTURE_H
#define TESTS_INTEGRATION_MESSAGE_FIXTURE_H

#include <outbox/outbox.h>

#define EURO "\xe2\x82\xac"
#define SMILE "\xf0\x9f\x98\x80"

struct outbox_message message_fixture_of(const char *payload);

/* Every field is set, with characters that could be taken for an escape, a quote, or another character set. */
struct outbox_message message_fixture_with_everything(void);

/* Fails the test unless the result is `wanted` and the error has the same code, this SQLSTATE and these words. */
void message_fixture_expect(const struct outbox_error *error, outbox_result result,
                            outbox_result wanted, const char *sqlstate, const char *words);

#endif
