#include "base/uuid.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define TEXT_LENGTH (UUID_TEXT_BYTES - 1)

void
uuid_v7(uint8_t ret_uuid[UUID_BYTES])
{
    arc4random_buf(ret_uuid, UUID_BYTES);
    uint64_t unix_ms = clock_wall_us() / 1000;
    for (int i = 5; i >= 0; i--) {
        ret_uuid[i] = (uint8_t)unix_ms;
        unix_ms >>= 8;
    }
    ret_uuid[6] = (uint8_t)((ret_uuid[6] & 0x0f) | 0x70); /* version 7 */
    ret_uuid[8] = (uint8_t)((ret_uuid[8] & 0x3f) | 0x80); /* RFC 9562 variant */
}

static bool
hyphen_follows(size_t byte_index)
{
    return byte_index == 3 || byte_index == 5 || byte_index == 7 || byte_index == 9;
}

void
uuid_format(const uint8_t uuid[UUID_BYTES], char ret_text[UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *out = ret_text;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        *out++ = digits[uuid[i] >> 4];
        *out++ = digits[uuid[i] & 0x0f];
        if (hyphen_follows(i)) {
            *out++ = '-';
        }
    }
    *out = '\0';
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool
uuid_parse(const char *text, size_t length, uint8_t ret_uuid[UUID_BYTES])
{
    if (length != TEXT_LENGTH) {
        return false;
    }
    uint8_t uuid[UUID_BYTES];
    const char *in = text;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        const int high = hex_value(in[0]);
        const int low = high < 0 ? -1 : hex_value(in[1]);
        if (low < 0) {
            return false;
        }
        uuid[i] = (uint8_t)(high << 4 | low);
        in += 2;
        if (hyphen_follows(i) && *in++ != '-') {
            return false;
        }
    }
    memcpy(ret_uuid, uuid, sizeof(uuid));
    return true;
}
