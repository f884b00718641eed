#include "relay/cli/text.h"

#include "base/memory.h"
#include "relay/api/text.h"

size_t
cli_text_columns(const char *text)
{
    size_t columns = 0;
    for (; *text != '\0'; text++) {
        columns += ((unsigned char)*text & 0xc0) != 0x80; /* not the inside of a character */
    }
    return columns;
}

static void
dump_line(FILE *out, const uint8_t *bytes, size_t size, size_t offset)
{
    char hex[16 * 3 + 1];
    char ascii[17];
    for (size_t i = 0; i < 16; i++) {
        if (i < size) {
            (void)snprintf(hex + 3 * i, 4, " %02x", bytes[i]); /* fits */
            ascii[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '.';
        } else {
            (void)snprintf(hex + 3 * i, 4, "   "); /* fits */
        }
    }
    ascii[size] = '\0';
    (void)fprintf(out, "%08zx %s  |%s|\n", offset, hex, ascii); /* the caller looks at the stream */
}

void
cli_text_dump(FILE *out, const uint8_t *bytes, size_t size)
{
    for (size_t offset = 0; offset < size; offset += 16) {
        const size_t rest = size - offset;
        dump_line(out, bytes + offset, rest < 16 ? rest : 16, offset);
    }
}

void
cli_text_line(void *out, const char *word, const char *words)
{
    char *const clean = api_text_clean(words);
    (void)fprintf(out, "%-8s %s\n", word, clean); /* cli_main looks at the stream */
    (void)fflush(out); /* so that the line is seen while the next step waits */
    memory_free(clean);
}
