#include "relay/mysql/prepared.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

struct my_prepared *
my_prepared_new(uint64_t bytes_max)
{
    struct my_prepared *const prepared = memory_array(1, sizeof(*prepared));
    prepared->bytes_max = bytes_max;
    return prepared;
}

static void
clear(struct my_prepared_transaction *transaction)
{
    my_row_copies_done(&transaction->rows);
    *transaction = (struct my_prepared_transaction){.is_lost = false};
}

void
my_prepared_free(struct my_prepared *prepared)
{
    if (prepared != NULL) {
        for (size_t i = 0; i < prepared->count; i++) {
            clear(&prepared->items[i]);
        }
        clear(&prepared->open);
        memory_free(prepared);
    }
}

static void
set_xid(struct my_prepared_transaction *transaction, struct span xid)
{
    (void)snprintf(transaction->xid, sizeof(transaction->xid), "%.*s", (int)xid.size,
                   (const char *)xid.data); /* fits: the decoder gives no longer one */
}

static bool
is_called(const struct my_prepared_transaction *transaction, struct span xid)
{
    return strlen(transaction->xid) == xid.size &&
           memcmp(transaction->xid, xid.data, xid.size) == 0;
}

/* NULL: it is not kept. */
static struct my_prepared_transaction *
find(struct my_prepared *prepared, struct span xid)
{
    for (size_t i = 0; i < prepared->count; i++) {
        if (is_called(&prepared->items[i], xid)) {
            return &prepared->items[i];
        }
    }
    return NULL;
}

/* Removes it from the list, without freeing its rows. */
static void
take_out(struct my_prepared *prepared, struct my_prepared_transaction *transaction)
{
    *transaction = prepared->items[--prepared->count];
}

void
my_prepared_row(struct my_prepared *prepared, const struct row *row)
{
    struct my_prepared_transaction *const open = &prepared->open;
    if (prepared->open_position != row->position) {
        clear(open); /* of a group that a crash cut off */
        prepared->open_position = row->position;
    }
    if (!open->is_lost) {
        my_row_copies_add(&open->rows, row);
    }
    if (prepared->bytes + open->rows.bytes > prepared->bytes_max) {
        my_row_copies_done(&open->rows);
        open->is_lost = true;
    }
}

/* True if the group that ends now has rows of the outbox. */
static bool
has_open(const struct my_prepared *prepared)
{
    return prepared->open.is_lost || prepared->open.rows.count > 0;
}

void
my_prepared_keep(struct my_prepared *prepared, struct span xid)
{
    if (!has_open(prepared)) {
        return;
    }
    if (prepared->count == MY_PREPARED_MAX) {
        prepared->is_overflowed = true;
        clear(&prepared->open);
        return;
    }
    struct my_prepared_transaction *const kept = &prepared->items[prepared->count++];
    *kept = prepared->open;
    set_xid(kept, xid);
    prepared->bytes += kept->rows.bytes;
    prepared->open = (struct my_prepared_transaction){.is_lost = false};
}

static enum my_prepared_fate
give(struct my_prepared_transaction *transaction, log_position position,
     struct my_row_copies *ret_rows)
{
    if (transaction->is_lost) {
        return MY_PREPARED_LOST;
    }
    *ret_rows = transaction->rows;
    for (size_t i = 0; i < ret_rows->count; i++) {
        ret_rows->rows[i].position = position;
    }
    return MY_PREPARED_ROWS;
}

enum my_prepared_fate
my_prepared_commit(struct my_prepared *prepared, struct span xid, log_position position,
                   struct my_row_copies *ret_rows)
{
    struct my_prepared_transaction *const kept = find(prepared, xid);
    enum my_prepared_fate fate = MY_PREPARED_NONE;
    if (kept != NULL) {
        prepared->bytes -= kept->rows.bytes;
        fate = give(kept, position, ret_rows);
        take_out(prepared, kept);
    } else if (has_open(prepared) && prepared->open_position == position) {
        fate = give(&prepared->open, position, ret_rows); /* in one phase */
        prepared->open = (struct my_prepared_transaction){.is_lost = false};
    } else if (prepared->is_overflowed) {
        fate = MY_PREPARED_LOST;
    }
    return fate;
}

void
my_prepared_roll_back(struct my_prepared *prepared, struct span xid)
{
    struct my_prepared_transaction *const kept = find(prepared, xid);
    if (kept != NULL) {
        prepared->bytes -= kept->rows.bytes;
        my_row_copies_done(&kept->rows);
        take_out(prepared, kept);
    }
}
