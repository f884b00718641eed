/* How long it takes from the start of the relay's process until the consumer has its first message, with everything up and a row
 * that waits. It is printed: a time that a test demands is one that a busy machine does not keep. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"

#define STARTS 10

TestSuite(relay_start, .init = scene_open, .fini = scene_close, .timeout = 120);

static unsigned
first_message_ms(struct consumer *consumer)
{
    struct delivery delivery;
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'first')", scene.queue);
    const uint64_t begun_us = clock_monotonic_us();
    if (scene.relay == NULL) {
        scene.relay = relay_start(&(struct relay_options){0});
    } else {
        relay_start_again(scene.relay);
    }
    consumer_take(consumer, &delivery);
    const uint64_t took_us = clock_monotonic_us() - begun_us;
    relay_drain(scene.relay);
    return (unsigned)(took_us / CLOCK_MS_US);
}

Test(relay_start, says_when_its_first_message_came)
{
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    (void)fprintf(stderr, "first message after:");
    for (unsigned i = 0; i < STARTS; i++) {
        (void)fprintf(stderr, " %u", first_message_ms(consumer));
    }
    (void)fprintf(stderr, " ms\n");
    consumer_close(consumer);
    relay_free(scene.relay);
    scene.relay = NULL;
}
