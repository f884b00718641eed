/* base/text.h - numbers with units as people write them, and the name somebody probably meant. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define TEXT_UNIT_BYTES 32

/* Each reads the whole of `text`, no blanks, no sign; false and *ret untouched if it is not one or
 * does not fit. number     "1024" duration   "250us" "250ms" "30s" "5m" "2h" "1d"; "0" needs no
 * unit size       "512" (bytes) "64KiB" "4MiB" "1GiB" */
bool text_parse_number(const char *text, uint64_t *ret_number) MUST_CHECK;
bool text_parse_duration(const char *text, uint64_t *ret_us) MUST_CHECK;
bool text_parse_size(const char *text, uint64_t *ret_bytes) MUST_CHECK;

/* The way back, in the largest unit that divides: "90s", "2m", "4MiB". */
void text_format_duration(uint64_t us, char ret_text[TEXT_UNIT_BYTES]);
void text_format_size(uint64_t bytes, char ret_text[TEXT_UNIT_BYTES]);

/* How many insertions, deletions, replacements and swaps of neighbours lead from one word to the
 * other (optimal string alignment). Words over 63 bytes count as far from everything. */
size_t text_distance(const char *a, const char *b);

/* The candidate that `word` is most probably a slip for; NULL if none is near. The first of equals.
 */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

#endif
