/* tests/integration/message_fixture.h - messages that an application writes, and what a writer's library says of it. */
#ifndef TESTS_INTEGRATION_MESSAGE_FIXTURE_H
#define TESTS_INTEGRATION_MESSAGE_FIXTURE_H

#include <outbox/outbox.h>

#define EURO "\xe2\x82\xac"
#define SMILE "\xf0\x9f\x98\x80"

struct outbox_message message_fixture_of(const char *payload);

/* Every field, with what could be taken for an escape, a quote, or another character set's. */
struct outbox_message message_fixture_with_everything(void);

/* Fails the test unless the result is the wanted one, and the error says so, and has these words. */
void message_fixture_expect(const struct outbox_error *error, outbox_result result,
                            outbox_result wanted, const char *sqlstate, const char *words);

#endif
