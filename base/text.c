#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 63

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the way back takes the first that divides. */
static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000000)}, {"h", UINT64_C(3600000000)}, {"m", UINT64_C(60000000)},
    {"s", UINT64_C(1000000)},     {"ms", UINT64_C(1000)},      {"us", UINT64_C(1)},
};
static const struct unit size_units[] = {
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"", UINT64_C(1)},
};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The digits at the start of `text`; returns what follows them, NULL if there are none or the
 * number is too large. */
static const char *
parse_digits(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number)) {
            return NULL;
        }
    }
    if (at == text) {
        return NULL;
    }
    *ret_number = number;
    return at;
}

static bool
parse_with_unit(const char *text, const struct unit *units, size_t count, uint64_t *ret_value)
{
    uint64_t number = 0;
    const char *const unit = parse_digits(text, &number);
    for (size_t i = 0; unit != NULL && i < count; i++) {
        uint64_t value;
        if (strcmp(unit, units[i].name) == 0 &&
            !__builtin_mul_overflow(number, units[i].factor, &value)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

bool
text_parse_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *const end = parse_digits(text, &number);
    if (end == NULL || *end != '\0') {
        return false;
    }
    *ret_number = number;
    return true;
}

bool
text_parse_duration(const char *text, uint64_t *ret_us)
{
    if (strcmp(text, "0") == 0) {
        *ret_us = 0;
        return true;
    }
    return parse_with_unit(text, duration_units, COUNT_OF(duration_units), ret_us);
}

bool
text_parse_size(const char *text, uint64_t *ret_bytes)
{
    return parse_with_unit(text, size_units, COUNT_OF(size_units), ret_bytes);
}

static void
format_with_unit(uint64_t value, const struct unit *units, char ret_text[TEXT_UNIT_BYTES])
{
    const struct unit *unit = units;
    while (value % unit->factor != 0) {
        unit++;
    }
    (void)snprintf(ret_text, TEXT_UNIT_BYTES, "%" PRIu64 "%s", value / unit->factor,
                   unit->name); /* fits */
}

void
text_format_duration(uint64_t us, char ret_text[TEXT_UNIT_BYTES])
{
    if (us == 0) {
        (void)snprintf(ret_text, TEXT_UNIT_BYTES, "0"); /* fits */
        return;
    }
    format_with_unit(us, duration_units, ret_text);
}

void
text_format_size(uint64_t bytes, char ret_text[TEXT_UNIT_BYTES])
{
    if (bytes == 0) {
        (void)snprintf(ret_text, TEXT_UNIT_BYTES, "0"); /* fits */
        return;
    }
    format_with_unit(bytes, size_units, ret_text);
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t
text_distance(const char *a, const char *b)
{
    const size_t a_size = strlen(a);
    const size_t b_size = strlen(b);
    if (a_size > WORD_MAX || b_size > WORD_MAX) {
        return SIZE_MAX;
    }
    size_t cost[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a_size; i++) {
        cost[i][0] = i;
    }
    for (size_t j = 0; j <= b_size; j++) {
        cost[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        for (size_t j = 1; j <= b_size; j++) {
            const size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = smaller(replace, smaller(cost[i - 1][j], cost[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost[i][j] = smaller(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[a_size][b_size];
}

const char *
text_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const size_t distance = text_distance(word, candidates[i]);
        /* A third of the letters wrong is no slip any more. */
        if (distance < nearest_distance && distance <= (strlen(candidates[i]) + 2) / 3) {
            nearest = candidates[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}
