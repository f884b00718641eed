#include "relay/mysql/position.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static size_t
digits_at_end(struct span name)
{
    const char *text = name.data;
    size_t digits = 0;
    while (digits < name.size && text[name.size - digits - 1] >= '0' &&
           text[name.size - digits - 1] <= '9') {
        digits++;
    }
    return digits;
}

static uint64_t
number_of(const char *digits, size_t count)
{
    uint64_t number = 0;
    for (size_t i = 0; i < count; i++) {
        number = number * 10 + (uint64_t)(digits[i] - '0');
    }
    return number;
}

bool
my_position_of(struct span name, uint64_t offset, struct my_log *ret_log, uint64_t *ret_position)
{
    const char *text = name.data;
    const size_t digits = digits_at_end(name);
    const size_t base = name.size - digits;
    if (digits == 0 || digits > MY_LOG_DIGITS_MAX || base == 0 || text[base - 1] != '.' ||
        base + MY_LOG_DIGITS_MAX >= MY_LOG_NAME_BYTES) {
        return false; /* no server's name is that long */
    }
    const uint64_t number = number_of(text + base, digits);
    if (number == 0 || number > INT32_MAX) {
        return false;
    }
    memcpy(ret_log->base, text, base);
    ret_log->base[base] = '\0';
    *ret_position = my_position_at(number << 32, offset);
    return true;
}

void
my_position_place(const struct my_log *log, uint64_t position, char ret_name[MY_LOG_NAME_BYTES],
                  uint32_t *ret_offset)
{
    const int length =
        snprintf(ret_name, MY_LOG_NAME_BYTES, "%s%06" PRIu64, log->base, position >> 32);
    assert(length > 0 && length < MY_LOG_NAME_BYTES); /* my_position_of took no longer base */
    *ret_offset = (uint32_t)position;
}

uint64_t
my_position_at(uint64_t position, uint64_t offset)
{
    const uint64_t file = position & ~(uint64_t)UINT32_MAX;
    return file | (offset < UINT32_MAX ? offset : UINT32_MAX);
}
