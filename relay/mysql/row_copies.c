#include "relay/mysql/row_copies.h"

#include <string.h>

#include "base/memory.h"

#define FIRST_ROWS 16
#define PIECE_BYTES_MIN ((size_t)2 << 10)
#define PIECE_BYTES_MAX ((size_t)256 << 10)

struct my_piece {
    struct my_piece *next;
    size_t used;
    size_t size;
    uint8_t bytes[];
};

static void
free_pieces(void *owner)
{
    struct my_piece *piece = owner;
    while (piece != NULL) {
        struct my_piece *const next = piece->next;
        memory_free(piece);
        piece = next;
    }
}

/* The new piece is twice as large as the last one; a larger row gets a piece of its own. */
static void
add_piece(struct my_row_copies *copies, size_t needed)
{
    const size_t twice = copies->pieces != NULL ? 2 * copies->pieces->size : PIECE_BYTES_MIN;
    const size_t usual = twice < PIECE_BYTES_MAX ? twice : PIECE_BYTES_MAX;
    const size_t size = needed > usual ? needed : usual;
    struct my_piece *const piece = memory_array(1, sizeof(*piece) + size);
    piece->size = size;
    piece->next = copies->pieces;
    copies->pieces = piece;
    copies->bytes += sizeof(*piece) + size;
}

static void
grow_rows(struct my_row_copies *copies)
{
    const size_t capacity = copies->capacity > 0 ? 2 * copies->capacity : FIRST_ROWS;
    struct row *const rows = memory_array(capacity, sizeof(*rows));
    if (copies->count > 0) {
        memcpy(rows, copies->rows, copies->count * sizeof(*rows));
    }
    memory_free(copies->rows);
    copies->rows = rows;
    copies->bytes += (capacity - copies->capacity) * sizeof(*rows);
    copies->capacity = capacity;
}

/* There must be room in the piece. */
static void
copy(struct my_piece *piece, struct span *span)
{
    uint8_t *const to = piece->bytes + piece->used;
    if (span->size > 0) {
        memcpy(to, span->data, span->size);
    }
    span->data = to;
    piece->used += span->size;
}

void
my_row_copies_add(struct my_row_copies *copies, const struct row *row)
{
    if (copies->count == copies->capacity) {
        grow_rows(copies);
    }
    struct row *const own = &copies->rows[copies->count++];
    *own = *row;
    struct span *const parts[] = {&own->exchange,     &own->routing_key, &own->key,    &own->type,
                                  &own->content_type, &own->headers,     &own->payload};
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        bytes += parts[i]->size;
    }
    if (copies->pieces == NULL || copies->pieces->size - copies->pieces->used < bytes) {
        add_piece(copies, bytes);
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        copy(copies->pieces, parts[i]);
    }
    copies->content_bytes += row->headers.size + row->payload.size;
}

void
my_row_copies_done(struct my_row_copies *copies)
{
    free_pieces(copies->pieces);
    memory_free(copies->rows);
    *copies = (struct my_row_copies){.count = 0};
}

struct batch *
my_row_copies_take(struct my_row_copies *copies, bool complete)
{
    struct batch *const batch = memory_array(1, sizeof(*batch));
    *batch = (struct batch){
        .rows = copies->rows,
        .count = copies->count,
        .complete = complete,
        .owner = copies->pieces,
        .free_owner = copies->pieces != NULL ? free_pieces : NULL,
    };
    *copies = (struct my_row_copies){.count = 0};
    return batch;
}
