/* base/uuid.h - UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits. Ids made
 * later sort later to the millisecond, which keeps an index on them compact. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_TEXT_BYTES 37 /* with the terminating zero */

/* A new id. Any thread. */
void uuid_v7(uint8_t ret_uuid[UUID_BYTES]);

/* Lower-case text with hyphens, zero-terminated. */
void uuid_format(const uint8_t uuid[UUID_BYTES], char ret_text[UUID_TEXT_BYTES]);

/* Reads the 36-character form, either case. False and *ret_uuid untouched if it is not one. */
bool uuid_parse(const char *text, size_t length, uint8_t ret_uuid[UUID_BYTES]);

#endif
