#include "relay/postgres/source_watermark.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

void
pg_watermark_init(struct pg_watermark *watermark)
{
    *watermark = (struct pg_watermark){.final_id = 0};
}

void
pg_watermark_done(struct pg_watermark *watermark)
{
    memory_free(watermark->awaited);
    pg_watermark_init(watermark);
}

static bool
contains(const uint64_t *transactions, size_t count, uint64_t transaction)
{
    for (size_t i = 0; i < count; i++) {
        if (transactions[i] == transaction) {
            return true;
        }
    }
    return false;
}

static void
drop_ended(struct pg_watermark *watermark, const uint64_t *writers, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < watermark->awaited_count; i++) {
        if (contains(writers, count, watermark->awaited[i])) {
            watermark->awaited[kept++] = watermark->awaited[i];
        }
    }
    watermark->awaited_count = kept;
}

static void
await(struct pg_watermark *watermark, uint64_t position, int64_t last_id, const uint64_t *writers,
      size_t count)
{
    memory_free(watermark->awaited);
    watermark->awaited = memory_array(count, sizeof(*writers));
    memcpy(watermark->awaited, writers, count * sizeof(*writers));
    watermark->awaited_count = count;
    watermark->candidate = last_id;
    watermark->candidate_position = position;
}

void
pg_watermark_observe(struct pg_watermark *watermark, uint64_t position, int64_t last_id,
                     const uint64_t *writers, size_t count)
{
    if (watermark->awaited_count > 0) {
        drop_ended(watermark, writers, count);
        if (watermark->awaited_count > 0) {
            return;
        }
        watermark->final_id = watermark->candidate;
        watermark->final_position = watermark->candidate_position;
    }
    if (count == 0 || last_id == watermark->final_id) {
        watermark->final_id = last_id;
        watermark->final_position = position;
    } else {
        await(watermark, position, last_id, writers, count);
    }
}

bool
pg_watermark_parse(const char *text, uint64_t *ret_transaction)
{
    int backend;
    unsigned local;
    int used = 0;
    if (sscanf(text, "%d/%u%n", &backend, &local, &used) != 2 || text[used] != '\0') {
        return false;
    }
    *ret_transaction = (uint64_t)(uint32_t)backend << 32 | local;
    return true;
}
