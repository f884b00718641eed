#include "tests/unit/pipeline_tables.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 40000
#define LOG_MAX 10000

/* A row that was inserted into the outbox, with its content at that commit. */
struct logged {
    int64_t id;
    uint64_t position;
};

struct answers out;
static struct row rows[ROWS_MAX]; /* delivered rows; the core may keep them for long */
static size_t rows_used;
static struct logged entries[LOG_MAX];
static size_t entry_count;

struct message *
message_of(int64_t id)
{
    cr_assert(id > 0 && id < DRIVER_IDS, "message %ld", (long)id);
    return &driver.messages[id];
}

static void
make(int64_t id, int64_t key)
{
    *message_of(id) =
        (struct message){.place = IN_OUTBOX, .key = key, .ordered = true, .exchange = "orders"};
    driver.highest_id = id > driver.highest_id ? id : driver.highest_id;
}

static void
append(int64_t id)
{
    cr_assert_lt(entry_count, LOG_MAX);
    entries[entry_count++] = (struct logged){.id = id, .position = driver.log_end};
    message_of(id)->position = driver.log_end;
}

void
put(int64_t id, int64_t key)
{
    make(id, key);
    append(id);
    driver.log_end++;
}

void
put_unseen(int64_t id, int64_t key)
{
    put(id, key);
    message_of(id)->unseen = true;
}

void
put_together(int64_t first, int64_t last, int64_t key)
{
    for (int64_t id = first; id <= last; id++) {
        make(id, key);
        append(id);
    }
    driver.log_end++;
}

void
put_unordered(int64_t id)
{
    put(id, 0);
    message_of(id)->ordered = false;
}

void
put_range(int64_t first, int64_t last, int64_t key)
{
    for (int64_t id = first; id <= last; id++) {
        put(id, key);
    }
}

void
put_each(int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++) {
        put(id, 100000 + id);
    }
}

void
put_held(int64_t id, int64_t key, enum held_state state, uint32_t attempts)
{
    make(id, key);
    message_of(id)->place = IN_HELD;
    message_of(id)->state = state;
    message_of(id)->attempts = attempts;
    message_of(id)->retry_at_us = driver.now_us;
}

size_t
count_in(enum place place)
{
    size_t count = 0;
    for (int64_t id = 1; id <= driver.highest_id; id++) {
        count += driver.messages[id].place == place;
    }
    return count;
}

static bool
is_seen(int64_t id)
{
    return driver.messages[id].place == IN_OUTBOX && !driver.messages[id].unseen;
}

static bool
is_wanted(const struct fetch *fetch, int64_t id)
{
    const struct message *message = &driver.messages[id];
    if (has_id(fetch->ids, fetch->id_count, id)) {
        return false;
    }
    if (fetch->kind == FETCH_NEXT) {
        return is_seen(id) && id > fetch->after_id;
    }
    return message->place == IN_HELD && message->state == HELD_RETRYING &&
           message->retry_at_us <= driver.now_us;
}

static struct row
row_of(int64_t id, bool held)
{
    const struct message *message = &driver.messages[id];
    return (struct row){
        .id = id,
        .created_at_us = driver.created_us,
        .key_hash = message->key,
        .ordered = message->ordered,
        .scheduled = !held && message->deliver_after_us > 0,
        .exchange = {message->exchange, strlen(message->exchange)},
        .payload = {"", message->bytes},
    };
}

static struct row *
give(const struct row *row)
{
    cr_assert_lt(rows_used, ROWS_MAX);
    rows[rows_used] = *row;
    return &rows[rows_used++];
}

static void
carry_out_fetch(void)
{
    const struct fetch *fetch = &out.fetch_asked;
    out.rows = (struct batch){.rows = &rows[rows_used], .complete = true};
    for (int64_t id = 1; id <= driver.highest_id && out.rows.complete; id++) {
        if (!is_wanted(fetch, id)) {
            continue;
        }
        if (out.rows.count == fetch->rows_max) {
            out.rows.complete = false;
        } else {
            const struct row row = row_of(id, fetch->kind == FETCH_HEADS);
            (void)give(&row); /* where out.rows points to */
            out.rows.count++;
        }
    }
}

static void
carry_out_present(void)
{
    const struct fetch *fetch = &out.fetch_asked;
    out.present = (struct source_present){.ids = out.present_ids};
    for (int64_t id = 1; id <= driver.highest_id; id++) {
        if (is_seen(id) && has_id(fetch->ids, fetch->id_count, id)) {
            out.present.ids[out.present.count++] = id;
        }
    }
}

static void
leave_outbox(struct message *message, enum place place, enum leaving leaving)
{
    if (message->place == IN_OUTBOX) {
        message->leaving = leaving;
    }
    message->place = place;
}

static void
fail(struct source_failures *failures, struct source_failure *place, int64_t id, const char *reason)
{
    *place = (struct source_failure){.id = id, .key_hash = message_of(id)->key};
    (void)snprintf(place->reason, sizeof(place->reason), "%s", reason); /* fits */
    *failures = (struct source_failures){.items = place, .count = 1};
}

static void
delete_confirmed(const int64_t *ids, size_t count, struct source_failures *failures)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] <= 0) {
            continue;
        }
        if (ids[i] == driver.undeletable_id) {
            fail(failures, &out.undeleted, ids[i], "forbidden");
            continue;
        }
        struct message *message = message_of(ids[i]);
        cr_assert_not(message->unseen, "%ld is deleted, and not visible yet", (long)ids[i]);
        cr_assert_gt(message->taken, 0, "%ld is deleted, and the broker never took it",
                     (long)ids[i]);
        leave_outbox(message, NOWHERE, IS_SETTLED);
    }
}

static void
carry_out_settle(const int64_t *ids, size_t count)
{
    out.settled = (struct source_settled){0};
    delete_confirmed(ids, count, &out.settled.failures);
}

/* NULL: unchanged. */
static void
keep_reason(struct message *message, const char *reason)
{
    if (reason != NULL) {
        (void)snprintf(message->reason, sizeof(message->reason), "%s", reason); /* fits */
    }
}

static void
carry_out_hold(const struct hold *holds, size_t count)
{
    out.held = (struct source_held){.missing = out.missing};
    for (size_t i = 0; i < count; i++) {
        const struct hold *hold = &holds[i];
        struct message *message = message_of(hold->id);
        if (hold->id == driver.unmovable_id) {
            fail(&out.held.failures, &out.unmoved, hold->id, "forbidden");
            continue;
        }
        const bool locked = hold->state == HELD_SCHEDULED && hold->id == driver.locked_id;
        if (message->place == NOWHERE || locked) {
            out.missing[out.held.missing_count++] = hold->id;
            continue;
        }
        leave_outbox(message, IN_HELD, IS_HELD);
        message->state = hold->state;
        message->skipped |= hold->skipped;
        if (hold->state == HELD_RETRYING || hold->state == HELD_DEAD) {
            message->attempts = hold->attempts;
            message->retry_at_us = driver.now_us + hold->retry_after_us;
            keep_reason(message, hold->reason);
        }
    }
}

static bool
waits_for(const struct message *message, const int64_t *keys, size_t count)
{
    return message->place == IN_HELD && message->state == HELD_WAITING &&
           has_id(keys, count, message->key);
}

static void
carry_out_release(const struct release *release)
{
    struct source_released *released = &out.released;
    *released = (struct source_released){0};
    delete_confirmed(release->ids, release->id_count, &released->failures);
    for (int64_t id = 1; id <= driver.highest_id && released->count < release->rows_max; id++) {
        if (!waits_for(message_of(id), release->keys, release->key_count)) {
            continue;
        }
        if (id == driver.unreleasable_id) {
            fail(&released->failures, &out.unreleased, id, "it cannot go back");
            break;
        }
        message_of(id)->place = IN_OUTBOX;
        append(id);
        released->first_id = released->count == 0 ? id : released->first_id;
        released->last_id = id;
        released->count++;
    }
    released->complete = released->failures.count == 0 && released->count < release->rows_max;
    driver.log_end++;
}

static bool
leads(const struct message *message)
{
    return message->place == IN_HELD &&
           (message->state == HELD_RETRYING || (message->state == HELD_DEAD && !message->skipped));
}

static bool
is_orphan(int64_t id)
{
    const struct message *message = message_of(id);
    if (message->place != IN_HELD || message->state != HELD_WAITING) {
        return false;
    }
    for (int64_t other = 1; other <= driver.highest_id; other++) {
        const struct message *each = message_of(other);
        const bool first = other < id && waits_for(each, &message->key, 1);
        if (first || (leads(each) && each->ordered && each->key == message->key)) {
            return false;
        }
    }
    return true;
}

static int
by_key_and_id(const void *a, const void *b)
{
    const struct head *first = a;
    const struct head *second = b;
    if (first->key_hash != second->key_hash) {
        return first->key_hash < second->key_hash ? -1 : 1;
    }
    return first->id < second->id ? -1 : 1;
}

static void
carry_out_heads(void)
{
    out.heads = (struct source_heads){.items = out.head_list};
    for (int64_t id = 1; id <= driver.highest_id; id++) {
        const struct message *message = message_of(id);
        const bool orphans = is_orphan(id);
        if (!orphans && !leads(message)) {
            continue;
        }
        out.head_list[out.heads.count++] = (struct head){
            .id = id,
            .key_hash = message->key,
            .ordered = message->ordered,
            .dead = message->state == HELD_DEAD,
            .orphans = orphans,
            .attempts = orphans ? 0 : message->attempts,
            .retry_in_us =
                message->retry_at_us > driver.now_us ? message->retry_at_us - driver.now_us : 0,
        };
    }
    qsort(out.head_list, out.heads.count, sizeof(out.head_list[0]), by_key_and_id);
}

/* Under a new id from the table. */
static void
wake_one(int64_t id)
{
    const int64_t new_id = ++driver.highest_id;
    *message_of(new_id) = *message_of(id);
    message_of(new_id)->place = IN_OUTBOX;
    message_of(new_id)->deliver_after_us = 0;
    message_of(id)->place = NOWHERE;
    append(new_id);
    driver.log_end++;
    out.woken.count++;
}

static void
carry_out_wake(size_t rows_max)
{
    const int64_t highest_id = driver.highest_id;
    out.woken = (struct source_woken){.next_in_us = CLOCK_NEVER_US};
    for (int64_t id = 1; id <= highest_id; id++) {
        const struct message *message = message_of(id);
        if (message->place != IN_HELD || message->state != HELD_SCHEDULED) {
            continue;
        }
        const uint64_t at_us = message->deliver_after_us;
        if (at_us <= driver.now_us && out.woken.count < rows_max) {
            wake_one(id);
        } else {
            const uint64_t in_us = at_us > driver.now_us ? at_us - driver.now_us : 0;
            out.woken.next_in_us = clock_earlier_us(in_us, out.woken.next_in_us);
        }
    }
}

static void
ask_fetch(const struct fetch *fetch)
{
    cr_assert_not(out.fetch_out);
    cr_assert_leq(fetch->id_count, DRIVER_IDS);
    out.fetch_out = true;
    out.fetch_asked = *fetch;
    out.fetch_asked.ids = out.fetch_ids;
    memcpy(out.fetch_ids, fetch->ids, fetch->id_count * sizeof(int64_t));
    if (fetch->kind == FETCH_PRESENT) {
        carry_out_present();
    } else {
        carry_out_fetch();
    }
}

static void
carry_out_watermark(void)
{
    struct source_final *final = &out.final;
    *final = (struct source_final){
        .id = driver.final_id > 0 ? driver.final_id : driver.highest_id,
        .position = driver.log_end,
        .log_end = driver.log_end,
    };
    for (int64_t id = driver.highest_id; id > 0; id--) {
        const struct message *message = &driver.messages[id];
        if (message->unseen) {
            final->id = id - 1 < final->id ? id - 1 : final->id;
            final->position =
                message->position < final->position ? message->position : final->position;
        }
    }
    if (driver.no_positions) {
        final->position = 0;
        final->log_end = 0;
    }
}

/* ---- the log -------------------------------------------------------------------------------------- */

void
begin_log(uint64_t position)
{
    entry_count = 0;
    driver.log_end = position;
    for (int64_t id = 1; id <= driver.highest_id; id++) {
        driver.messages[id].position = position;
    }
}

static void
ask_begin(uint64_t position)
{
    cr_assert(!out.tailing && out.asked_position == 0);
    cr_assert(position > 0 || driver.no_positions);
    for (int64_t id = 1; id <= driver.highest_id; id++) {
        const struct message *message = message_of(id);
        cr_assert_not(message->unseen && message->position < position, "%ld would be lost",
                      (long)id);
    }
    out.asked_position = position > 0 ? position : 1; /* before everything */
}

uint64_t
tables_tailing(void)
{
    const uint64_t from =
        driver.log_from > out.asked_position ? driver.log_from : out.asked_position;
    out.asked_position = 0;
    out.tailing = true;
    out.log_at = 0;
    out.log_told = 0;
    while (out.log_at < entry_count && entries[out.log_at].position < from) {
        out.log_at++;
    }
    return from;
}

bool
tables_log(struct source_log *ret_log)
{
    const log_position end = driver.log_stops_at > 0 ? driver.log_stops_at : driver.log_end;
    struct batch *batch = &out.log_rows;
    *batch = (struct batch){.rows = &rows[rows_used], .complete = true};
    while (out.log_at < entry_count && entries[out.log_at].position < end &&
           batch->count < out.more_rows) {
        struct row row = row_of(entries[out.log_at].id, false);
        row.position = entries[out.log_at].position;
        (void)give(&row); /* where out.log_rows points to */
        out.log_at++;
        batch->count++;
    }
    const bool more = out.log_at < entry_count && entries[out.log_at].position < end;
    *ret_log =
        (struct source_log){.batch = batch, .position = more ? entries[out.log_at].position : end};
    const bool news = batch->count > 0 || ret_log->position > out.log_told;
    out.log_told = ret_log->position;
    return news;
}

static void
ask_end(void)
{
    out.asked_position = 0;
    out.tailing = false;
    out.more = false;
}

static void
ask_more(size_t rows_max)
{
    cr_assert(out.tailing && !out.more);
    out.more = true;
    out.more_rows = rows_max;
}

/* Everything committed before is not needed any more, even if all parts stop now. */
static void
check_safe(uint64_t position)
{
    cr_assert(out.tailing);
    cr_assert_gt(position, out.safe, "it goes back");
    cr_assert_leq(position, driver.log_end);
    for (int64_t id = 1; id <= driver.highest_id; id++) {
        const struct message *message = message_of(id);
        cr_assert(message->position >= position ||
                      (message->place != IN_OUTBOX && message->leaving == STAYS),
                  "%ld is not safe", (long)id);
    }
    out.safe = position;
}

static void
are_gone(enum leaving leaving)
{
    for (int64_t id = 1; id <= driver.highest_id; id++) {
        if (driver.messages[id].leaving == leaving) {
            driver.messages[id].leaving = STAYS;
        }
    }
}

void
tables_settled(void)
{
    are_gone(IS_SETTLED);
}

void
tables_held(void)
{
    are_gone(IS_HELD);
}

/* Each at most once at a time. */
static void
ask_once(bool *asked)
{
    cr_assert_not(*asked);
    *asked = true;
}

void
tables_ask(const struct pipeline_action *action)
{
    if (action->type == PIPELINE_FETCH) {
        ask_fetch(&action->fetch);
    } else if (action->type == PIPELINE_SETTLE) {
        ask_once(&out.settle_out);
        carry_out_settle(action->ids, action->count);
    } else if (action->type == PIPELINE_HOLD) {
        ask_once(&out.hold_out);
        carry_out_hold(action->holds, action->count);
    } else if (action->type == PIPELINE_RELEASE) {
        ask_once(&out.release_out);
        carry_out_release(&action->release);
    } else if (action->type == PIPELINE_HEADS) {
        ask_once(&out.heads_out);
        carry_out_heads();
    } else if (action->type == PIPELINE_WAKE) {
        ask_once(&out.wake_out);
        carry_out_wake(action->count);
    } else if (action->type == PIPELINE_WATERMARK) {
        ask_once(&out.watermark_out);
        carry_out_watermark();
    } else if (action->type == PIPELINE_TAIL_BEGIN) {
        ask_begin(action->position);
    } else if (action->type == PIPELINE_TAIL_END) {
        ask_end();
    } else if (action->type == PIPELINE_TAIL_MORE) {
        ask_more(action->count);
    } else if (action->type == PIPELINE_TAIL_SAFE) {
        check_safe(action->position);
    }
}

bool
fetch_is_out(void)
{
    return out.fetch_out;
}

void
carry_out_fetch_again(void)
{
    cr_assert(out.fetch_out);
    carry_out_fetch();
}
