#include "relay/postgres/source_watermark.h"

#include <stdio.h>

bool
pg_watermark_parse(const char *text, struct watermark_writer *ret_writer)
{
    int backend;
    unsigned local;
    int used = 0;
    if (sscanf(text, "%d/%u%n", &backend, &local, &used) != 2 || text[used] != '\0') {
        return false;
    }
    *ret_writer = (struct watermark_writer){.session = (uint32_t)backend, .transaction = local};
    return true;
}
