#include "relay/core/cursor.h"

static int64_t
lower(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
higher(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void
cursor_init(struct cursor *cursor)
{
    *cursor = (struct cursor){
        .high = CURSOR_START,
        .final = CURSOR_START,
        .floor = CURSOR_NONE,
        .final_known = CURSOR_START,
        .sent_floor = CURSOR_NONE,
        .sent_final = CURSOR_START,
        .sent_without_sweep = CURSOR_NONE,
        .live_final = CURSOR_START,
    };
}

int64_t
cursor_after(const struct cursor *cursor)
{
    return lower(lower(cursor->high, cursor->final), cursor->floor);
}

bool
cursor_has_gap(const struct cursor *cursor)
{
    return cursor->floor != CURSOR_NONE || cursor->sent_floor != CURSOR_NONE;
}

void
cursor_forget(struct cursor *cursor, int64_t id)
{
    const int64_t before = id == INT64_MIN ? INT64_MIN : id - 1;
    cursor->floor = lower(cursor->floor, before);
    cursor->forgotten++;
    if (cursor->sent_without_sweep != CURSOR_NONE) {
        cursor->sent_without_sweep = lower(cursor->sent_without_sweep, before);
    }
}

void
cursor_sweep(struct cursor *cursor)
{
    cursor->sent_without_sweep = cursor_after(cursor);
    cursor->floor = CURSOR_START;
}

void
cursor_final(struct cursor *cursor, int64_t id, uint64_t position)
{
    cursor->final_known = higher(cursor->final_known, id);
    if (position > cursor->position_known) {
        cursor->position_known = position;
    }
}

void
cursor_enter_live(struct cursor *cursor)
{
    cursor->live_final = lower(cursor->high, cursor->final);
}

void
cursor_pass_live(struct cursor *cursor, int64_t id)
{
    cursor->live_final = higher(cursor->live_final, id);
}

void
cursor_doubt_live(struct cursor *cursor)
{
    cursor->live_final = CURSOR_START;
}

void
cursor_leave_live(struct cursor *cursor)
{
    cursor->high = cursor->live_final;
    cursor->final = cursor->live_final;
}

void
cursor_sent(struct cursor *cursor)
{
    /* Rows dropped and ids learned while this fetch is out concern the next fetch. */
    cursor->sent_floor = cursor->floor;
    cursor->sent_final = cursor->final_known;
    cursor->sent_position = cursor->position_known;
    cursor->floor = CURSOR_NONE;
}

void
cursor_received(struct cursor *cursor, size_t count, int64_t last_id, bool complete)
{
    if (count > 0) {
        cursor->high = higher(cursor->high, last_id);
    }
    cursor->final = higher(cursor->final, cursor->sent_final);
    if (complete) {
        /* There were no more rows, so every row up to `final` was seen, even if the highest row read is lower. Without
         * this an empty table would be read from its left edge, over its dead rows, again and again. */
        cursor->high = higher(cursor->high, cursor->final);
    }
    if (complete && cursor->sent_position > cursor->covered) {
        cursor->covered = cursor->sent_position;
    }
    if (!complete && count > 0 && last_id < cursor->high) {
        cursor->floor = lower(cursor->floor, last_id);
    } else {
        cursor->sent_without_sweep =
            CURSOR_NONE; /* A sweep ends when it has caught up with `high`. */
    }
    cursor->sent_floor = CURSOR_NONE;
}

void
cursor_unsent(struct cursor *cursor)
{
    cursor->floor = lower(cursor->floor, cursor->sent_floor);
    cursor->sent_floor = CURSOR_NONE;
}
