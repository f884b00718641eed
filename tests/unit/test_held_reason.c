#include <criterion/criterion.h>

#include "relay/ports/held_reason.h"

static void
expect(const char *text, enum held_reason reason)
{
    cr_assert_eq(held_reason_of(text), reason, "%s", text);
}

/* Texts that real servers and the relay have written. */
Test(held_reason, of_each_class)
{
    expect("unroutable: exchange \"a\" has no queue for routing key \"b\"", HELD_REASON_UNROUTABLE);
    expect("the broker refused it (basic.nack): a queue is full or failing", HELD_REASON_NACKED);
    expect("NOT_FOUND - no exchange 'a' in vhost '/'", HELD_REASON_NO_EXCHANGE);
    expect("ACCESS_REFUSED - write access to exchange 'a' in vhost '/' refused for user 'guest'",
           HELD_REASON_DENIED);
    expect("PRECONDITION_FAILED - message size 134217729 is larger than configured max size "
           "134217728",
           HELD_REASON_TOO_LARGE);
    expect("the message is larger than can ever be sent: discard it", HELD_REASON_TOO_LARGE);
    expect("headers are larger than can ever be sent: mend them in outbox_held",
           HELD_REASON_TOO_LARGE);
    expect("headers: expected a JSON object, the row has [1]", HELD_REASON_INVALID);
    expect("payload, message_id or created_at is NULL", HELD_REASON_INVALID);
    expect("the routing key has 300 bytes, AMQP allows 255", HELD_REASON_INVALID);
    expect("3 times the connection ended while this message alone was on its way; others are tried",
           HELD_REASON_CUT);
    expect("it went out, but cannot be deleted", HELD_REASON_OTHER);
    expect("", HELD_REASON_OTHER);
    expect(NULL, HELD_REASON_OTHER);
}

/* A routing key, a header's name: whatever an application writes decides no class. */
Test(held_reason, words_of_others_do_not_count)
{
    expect("unroutable: exchange \"NOT_FOUND\" has no queue for routing key \"ACCESS_REFUSED\"",
           HELD_REASON_UNROUTABLE);
    expect("headers: \"NOT_FOUND\" must be a string of at most 255 bytes", HELD_REASON_INVALID);
    expect("NOT_FOUND - no exchange 'unroutable: ' in vhost '/'", HELD_REASON_NO_EXCHANGE);
}
