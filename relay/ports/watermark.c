#include "relay/ports/watermark.h"

#include <string.h>

#include "base/memory.h"

void
watermark_init(struct watermark *watermark)
{
    *watermark = (struct watermark){.final_id = 0};
}

void
watermark_done(struct watermark *watermark)
{
    memory_free(watermark->awaited);
    watermark_init(watermark);
}

static bool
contains(const struct watermark_writer *writers, size_t count, const struct watermark_writer *one)
{
    for (size_t i = 0; i < count; i++) {
        if (writers[i].session == one->session && writers[i].transaction == one->transaction &&
            writers[i].orphan == one->orphan) {
            return true;
        }
    }
    return false;
}

/* True if a session has left the list whose transaction may go on without it. */
static bool
drop_ended(struct watermark *watermark, const struct watermark_writer *writers, size_t count)
{
    size_t kept = 0;
    bool left = false;
    for (size_t i = 0; i < watermark->awaited_count; i++) {
        const struct watermark_writer *const one = &watermark->awaited[i];
        if (contains(writers, count, one)) {
            watermark->awaited[kept++] = *one;
        } else {
            left |= !one->orphan;
        }
    }
    watermark->awaited_count = kept;
    return left;
}

/* Any of the orphans may belong to a session that has left the list. */
static void
await_orphans(struct watermark *watermark, const struct watermark_writer *writers, size_t count)
{
    const size_t before = watermark->awaited_count;
    struct watermark_writer *const awaited = memory_array(before + count, sizeof(*awaited));
    if (before > 0) {
        memcpy(awaited, watermark->awaited, before * sizeof(*awaited));
    }
    for (size_t i = 0; i < count; i++) {
        if (writers[i].orphan && !contains(awaited, before, &writers[i])) {
            awaited[watermark->awaited_count++] = writers[i];
        }
    }
    memory_free(watermark->awaited);
    watermark->awaited = awaited;
}

static void
await(struct watermark *watermark, log_position position, int64_t last_id,
      const struct watermark_writer *writers, size_t count)
{
    memory_free(watermark->awaited);
    watermark->awaited = memory_array(count, sizeof(*writers));
    memcpy(watermark->awaited, writers, count * sizeof(*writers));
    watermark->awaited_count = count;
    watermark->candidate = last_id;
    watermark->candidate_position = position;
}

/* True if nobody is awaited any more. */
static bool
wait_is_over(struct watermark *watermark, const struct watermark_writer *writers, size_t count)
{
    if (watermark->awaited_count == 0) {
        return true;
    }
    if (drop_ended(watermark, writers, count)) {
        await_orphans(watermark, writers, count);
    }
    if (watermark->awaited_count > 0) {
        return false;
    }
    watermark->final_id = watermark->candidate;
    watermark->final_position = watermark->candidate_position;
    return true;
}

void
watermark_observe(struct watermark *watermark, log_position position, int64_t last_id,
                  const struct watermark_writer *writers, size_t count)
{
    if (!wait_is_over(watermark, writers, count)) {
        return;
    }
    if (count == 0 || last_id == watermark->final_id) {
        watermark->final_id = last_id;
        watermark->final_position = position;
    } else {
        await(watermark, position, last_id, writers, count);
    }
}
