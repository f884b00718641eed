#include "amqp/frame.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "amqp/wire.h"

#define FRAME_MAX 4096u
#define ROOM (FRAME_MAX - FRAME_OVERHEAD)

/* Encodes a message and checks every frame; returns the number of body frames, and their content in `body`. */
static size_t
encode(const struct rabbit_message *message, uint8_t *body, size_t *ret_body_size)
{
    const size_t size = frame_publish_size(message, FRAME_MAX);
    uint8_t *bytes = malloc(size);
    cr_assert_eq(frame_put_publish(bytes, 5, message, FRAME_MAX), bytes + size);
    size_t at = 0;
    size_t count = 0;
    *ret_body_size = 0;
    struct frame frame;
    while (at < size) {
        cr_assert_eq(frame_read(bytes + at, size - at, FRAME_MAX, &frame), FRAME_COMPLETE);
        cr_assert_eq(frame.channel, 5);
        cr_assert_eq(frame.type, count == 0   ? FRAME_METHOD
                                 : count == 1 ? FRAME_HEADER
                                              : FRAME_BODY);
        if (frame.type == FRAME_BODY) {
            cr_assert_gt(frame.payload.size, 0);
            memcpy(body + *ret_body_size, frame.payload.data, frame.payload.size);
            *ret_body_size += frame.payload.size;
        }
        at += frame.payload.size + FRAME_OVERHEAD;
        count++;
    }
    free(bytes);
    return count - 2;
}

Test(frame, bodies_are_split_at_what_a_frame_takes)
{
    static const struct {
        size_t size, frames;
    } cases[] = {
        {0, 0},        {1, 1},        {ROOM - 1, 1},     {ROOM, 1},
        {ROOM + 1, 2}, {2 * ROOM, 2}, {2 * ROOM + 1, 3}, {10 * ROOM, 10},
    };
    static uint8_t sent[10 * ROOM];
    static uint8_t got[10 * ROOM];
    for (size_t i = 0; i < sizeof(sent); i++) {
        sent[i] = (uint8_t)(i * 31 >> 3);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size;
        const struct rabbit_message message = {.body = {sent, cases[i].size}};
        cr_assert_eq(encode(&message, got, &size), cases[i].frames);
        cr_assert_eq(size, cases[i].size);
        cr_assert_eq(memcmp(sent, got, size), 0);
    }
}

Test(frame, a_publish_is_these_bytes)
{
    static const uint8_t expected[] =
        "\x01\0\x01\0\0\0\x0c\0\x3c\0\x28\0\0\x01"
        "e\x02rk\x01\xce"
        "\x02\0\x01\0\0\0\x2e\0\x3c\0\0\0\0\0\0\0\0\0\x02\xb0\xe8"
        "\x02"
        "ct\0\0\0\x04\x01nt\x01\x02\x02id\0\0\0\0\x65\x53\xf1\0\x04type\x03"
        "app\xce"
        "\x03\0\x01\0\0\0\x02hi\xce";
    const struct rabbit_message message = {
        .exchange = {"e", 1},
        .routing_key = {"rk", 2},
        .message_id = {"id", 2},
        .type = {"type", 4},
        .content_type = {"ct", 2},
        .app_id = {"app", 3},
        .headers = {"\x01nt\x01", 4},
        .timestamp_s = 1700000000,
        .delivery_mode = 2,
        .mandatory = true,
        .body = {"hi", 2},
    };
    uint8_t bytes[sizeof(expected)];
    const size_t size = frame_publish_size(&message, FRAME_MAX);
    cr_assert_eq(size, sizeof(expected) - 1);
    frame_put_publish(bytes, 1, &message, FRAME_MAX);
    cr_assert_arr_eq(bytes, expected, size);
}

/* Priority 0 differs from no priority. */
Test(frame, properties_stand_in_the_order_of_the_specification)
{
    static const uint8_t expected[] = "\x02\0\x01\0\0\0\x1f\0\x3c\0\0\0\0\0\0\0\0\0\0\x1f\x80"
                                      "\x02\0\x04"
                                      "c-id\x02rt\x03"
                                      "500\x02id\xce";
    const struct rabbit_message message = {
        .message_id = {"id", 2},
        .correlation_id = {"c-id", 4},
        .reply_to = {"rt", 2},
        .expiration = {"500", 3},
        .has_priority = true,
        .delivery_mode = 2,
    };
    uint8_t bytes[64];
    const size_t method = 8 + 4 + 5; /* the first frame */
    cr_assert_eq(frame_publish_size(&message, FRAME_MAX), method + sizeof(expected) - 1);
    frame_put_publish(bytes, 1, &message, FRAME_MAX);
    cr_assert_arr_eq(bytes + method, expected, sizeof(expected) - 1);
}

Test(frame, what_no_frame_can_carry_is_refused)
{
    static char bytes[FRAME_MAX];
    struct error error;
    struct rabbit_message message = {.routing_key = {bytes, 255}, .headers = {bytes, 4060}};
    cr_assert(frame_check_message(&message, FRAME_MAX, &error), "%s", error.text);
    message.headers.size = 4071;
    cr_assert_not(frame_check_message(&message, FRAME_MAX, &error));
    cr_assert_eq(error.class, ERROR_MESSAGE);
    message = (struct rabbit_message){.message_id = {bytes, 256}};
    cr_assert_not(frame_check_message(&message, FRAME_MAX, &error));
    cr_assert_str_eq(error.text, "the message id has 256 bytes, AMQP allows 255");
    message = (struct rabbit_message){.headers = {bytes, SIZE_MAX}};
    cr_assert_not(frame_check_message(&message, FRAME_MAX, &error));
}

Test(frame, partial_and_bad_are_told_apart)
{
    static const uint8_t good[] = "\x01\0\x01\0\0\0\x04\0\x14\0\x0b\xce";
    struct frame frame;
    for (size_t i = 0; i < 12; i++) {
        cr_assert_eq(frame_read(good, i, FRAME_MAX, &frame), FRAME_PARTIAL);
    }
    cr_assert_eq(frame_read(good, 12, FRAME_MAX, &frame), FRAME_COMPLETE);
    static const char *const bad[] = {
        "\x01\0\x01\0\0\0\x04\0\x14\0\x0b\xcd", /* end mark */
        "\x04\0\x01\0\0\0\x04",                 /* type */
        "\x01\0\x11\0\0\0\x04",                 /* channel 17 */
        "\x01\0\x01\0\0\0\x03",                 /* incomplete method */
        "\x01\0\x01\0\0\x0f\xf9",               /* 4089 bytes */
        "\x02\0\x01\0\0\0\x0d",                 /* incomplete header */
        "\x03\0\0\0\0\0\x01",                   /* body on channel 0 */
        "\x08\0\x01\0\0\0\0",                   /* heartbeat on channel 1 */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const size_t size = i == 0 ? 12 : 7;
        cr_assert_eq(frame_read((const uint8_t *)bad[i], size, FRAME_MAX, &frame), FRAME_BAD,
                     "case %zu", i);
    }
}
