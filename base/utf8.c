#include "base/utf8.h"

#include <stdint.h>

/* The length of the sequence that starts here, 0 if none is valid. RFC 3629, section 4: only the
 * second byte has narrower bounds than 80..BF, and only after four of the lead bytes. */
static size_t
sequence_length(const uint8_t *bytes, size_t left)
{
    const uint8_t lead = bytes[0];
    if (lead < 0x80) {
        return lead != 0 ? 1 : 0;
    }
    const size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || length > left) {
        return 0;
    }
    const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool
utf8_is_text(const void *bytes, size_t length)
{
    const uint8_t *text = bytes;
    size_t at = 0;
    while (at < length) {
        const size_t step = sequence_length(text + at, length - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}
