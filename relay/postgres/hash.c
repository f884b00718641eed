#include "relay/postgres/hash.h"

#include <endian.h>
#include <string.h>

/* The start value of lookup3, and the number that the server adds to it. */
#define LOOKUP3_START UINT32_C(0x9e3779b9)
#define SERVER_SEED UINT32_C(3923095)
#define BLOCK_BYTES 12

struct state {
    uint32_t a;
    uint32_t b;
    uint32_t c;
};

const char pg_hash_probe[] = "outbox-relay \303\244 lookup3";

static uint32_t
rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t
word_at(const uint8_t *at)
{
    uint32_t little;
    memcpy(&little, at, sizeof(little));
    return le32toh(little);
}

static void
step(uint32_t *x, uint32_t *y, uint32_t z, unsigned bits)
{
    *x = (*x - *y) ^ rotate(*y, bits);
    *y += z;
}

/* The author of lookup3 found the numbers here and below by search; they cannot be derived. */
static void
mix(struct state *s)
{
    step(&s->a, &s->c, s->b, 4);
    step(&s->b, &s->a, s->c, 6);
    step(&s->c, &s->b, s->a, 8);
    step(&s->a, &s->c, s->b, 16);
    step(&s->b, &s->a, s->c, 19);
    step(&s->c, &s->b, s->a, 4);
}

static void
finish(struct state *s)
{
    s->c = (s->c ^ s->b) - rotate(s->b, 14);
    s->a = (s->a ^ s->c) - rotate(s->c, 11);
    s->b = (s->b ^ s->a) - rotate(s->a, 25);
    s->c = (s->c ^ s->b) - rotate(s->b, 16);
    s->a = (s->a ^ s->c) - rotate(s->c, 4);
    s->b = (s->b ^ s->a) - rotate(s->a, 14);
    s->c = (s->c ^ s->b) - rotate(s->b, 24);
}

int64_t
pg_hash_text(const void *text, size_t size)
{
    const uint8_t *at = text;
    const uint32_t start = LOOKUP3_START + SERVER_SEED + (uint32_t)size;
    struct state state = {start, start, start};
    size_t left = size;
    for (; left >= BLOCK_BYTES; left -= BLOCK_BYTES, at += BLOCK_BYTES) {
        state.a += word_at(at);
        state.b += word_at(at + 4);
        state.c += word_at(at + 8);
        mix(&state);
    }
    uint8_t tail[BLOCK_BYTES] = {0};
    if (left > 0) {
        memcpy(tail, at, left);
    }
    state.a += word_at(tail);
    state.b += word_at(tail + 4);
    state.c += word_at(tail + 8) << 8; /* the lowest byte belongs to the length */
    finish(&state);
    return (int64_t)((uint64_t)state.b << 32 | state.c);
}
