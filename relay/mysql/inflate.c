#include "relay/mysql/inflate.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/reader.h"

#define KEEP_BYTES ((size_t)64 << 10)
#define SKIP_BYTES ((size_t)8 << 10)   /* at a time */
#define PIECE_BYTES ((size_t)16 << 10) /* between two checks of *stopping */

/* MariaDB, sql/log_event.cc: the first byte has the method (0: zlib) and the number of bytes of the size that
 * follows. */
#define RECORD_MARK 0x80
#define RECORD_METHOD 0x70
#define RECORD_SIZE_BYTES 0x07
#define RECORD_SIZE_BYTES_MAX 4

struct my_inflate {
    struct buffer content;
    z_stream zlib;
    ZSTD_DCtx *zstd; /* NULL until it is needed */
    enum my_compression compression;
    ZSTD_inBuffer in;
    uint64_t left; /* uncompressed bytes of the transaction that are not read yet */
    const atomic_bool *stopping;
};

struct my_inflate *
my_inflate_new(size_t bytes_max, const atomic_bool *stopping)
{
    struct my_inflate *inflate = memory_array(1, sizeof(*inflate));
    inflate->stopping = stopping;
    buffer_init(&inflate->content, KEEP_BYTES < bytes_max ? KEEP_BYTES : bytes_max, bytes_max);
    if (inflateInit(&inflate->zlib) != Z_OK) {
        memory_exhausted();
    }
    return inflate;
}

void
my_inflate_free(struct my_inflate *inflate)
{
    if (inflate != NULL) {
        (void)inflateEnd(&inflate->zlib);   /* fails if nothing was begun, which is fine */
        (void)ZSTD_freeDCtx(inflate->zstd); /* takes NULL, cannot fail */
        buffer_done(&inflate->content);
        memory_free(inflate);
    }
}

static bool
is_to_stop(const struct my_inflate *inflate)
{
    return inflate->stopping != NULL && atomic_load(inflate->stopping);
}

/* The error for data that cannot be read to its end. */
static bool
ended_early(const struct my_inflate *inflate, struct error *reterr)
{
    return is_to_stop(inflate)
               ? error_set(reterr, ERROR_TRANSIENT, "the log is not to be read any more")
               : error_set(reterr, ERROR_CONNECTION, "something compressed in the log is damaged");
}

static size_t
lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool
too_large(struct error *reterr)
{
    return error_set(reterr, ERROR_TRANSIENT, "something compressed in the log is too large");
}

/* ---- MariaDB's records ---- */

static bool
read_size(struct reader *reader, size_t *ret_size)
{
    const uint8_t head = read_u8(reader);
    const unsigned bytes = head & RECORD_SIZE_BYTES;
    if ((head & RECORD_MARK) == 0 || (head & RECORD_METHOD) != 0 || bytes == 0 ||
        bytes > RECORD_SIZE_BYTES_MAX) {
        return false;
    }
    *ret_size = 0;
    for (unsigned i = 0; i < bytes; i++) {
        *ret_size = *ret_size << 8 | read_u8(reader); /* the highest byte first */
    }
    return !reader->bad;
}

/* Decompresses everything; it must have exactly this size. */
static bool
unzip(struct my_inflate *inflate_it, const struct reader *reader, void *to, size_t size)
{
    z_stream *const zlib = &inflate_it->zlib;
    int result = inflateReset(zlib);
    zlib->next_in = (Bytef *)(uintptr_t)reader->at; /* zlib does not write to it */
    zlib->avail_in = (uInt)(reader->end - reader->at);
    zlib->next_out = to;
    zlib->avail_out = 0;
    do {
        const size_t piece = lesser(size, PIECE_BYTES);
        zlib->avail_out += (uInt)piece;
        size -= piece;
        result = inflate(zlib, size > 0 ? Z_NO_FLUSH : Z_FINISH);
    } while (result == Z_OK && size > 0 && !is_to_stop(inflate_it));
    return result == Z_STREAM_END && zlib->avail_out == 0 && size == 0;
}

bool
my_inflate_record(struct my_inflate *inflate, struct span record, struct span *ret_content,
                  struct error *reterr)
{
    struct reader reader = reader_of(record);
    size_t size;
    if (!read_size(&reader, &size) || (size_t)(reader.end - reader.at) > UINT32_MAX) {
        return ended_early(inflate, reterr);
    }
    buffer_clear(&inflate->content);
    uint8_t *const to = buffer_reserve(&inflate->content, size > 0 ? size : 1);
    if (to == NULL) {
        return too_large(reterr);
    }
    if (!unzip(inflate, &reader, to, size)) {
        return ended_early(inflate, reterr);
    }
    *ret_content = (struct span){to, size};
    return true;
}

/* ---- MySQL's transactions ---- */

void
my_inflate_open(struct my_inflate *inflate, enum my_compression compression, struct span compressed,
                uint64_t size)
{
    inflate->compression = compression;
    inflate->in = (ZSTD_inBuffer){.src = compressed.data, .size = compressed.size};
    inflate->left = size;
    buffer_clear(&inflate->content);
    if (compression == MY_COMPRESSION_ZSTD) {
        inflate->zstd = inflate->zstd != NULL ? inflate->zstd : ZSTD_createDCtx();
        if (inflate->zstd == NULL) {
            memory_exhausted();
        }
        (void)ZSTD_DCtx_reset(inflate->zstd, ZSTD_reset_session_only); /* cannot fail */
    }
}

uint64_t
my_inflate_left(const struct my_inflate *inflate)
{
    return inflate->left;
}

static size_t
take_plain(ZSTD_inBuffer *in, ZSTD_outBuffer *out)
{
    const size_t size = lesser(out->size - out->pos, in->size - in->pos);
    if (size > 0) {
        memcpy((uint8_t *)out->dst + out->pos, (const uint8_t *)in->src + in->pos, size);
    }
    in->pos += size;
    out->pos += size;
    return 0;
}

static bool
fill_piece(struct my_inflate *inflate, ZSTD_outBuffer *out)
{
    size_t before = SIZE_MAX;
    while (out->pos < out->size && inflate->in.pos + out->pos != before) {
        before = inflate->in.pos + out->pos;
        const size_t result = inflate->compression == MY_COMPRESSION_NONE
                                  ? take_plain(&inflate->in, out)
                                  : ZSTD_decompressStream(inflate->zstd, out, &inflate->in);
        if (ZSTD_isError(result)) {
            return false;
        }
    }
    return out->pos == out->size;
}

/* Gives the next out->size bytes. False: there are fewer, they are damaged, or it is to stop. */
static bool
fill(struct my_inflate *inflate, ZSTD_outBuffer *out)
{
    const size_t size = out->size;
    bool good = size <= inflate->left;
    while (good && out->pos < size) {
        out->size = lesser(size, out->pos + PIECE_BYTES);
        good = !is_to_stop(inflate) && fill_piece(inflate, out);
    }
    inflate->left -= good ? size : 0;
    return good;
}

bool
my_inflate_read(struct my_inflate *inflate, size_t kept, size_t size, struct span *ret_bytes,
                struct error *reterr)
{
    if (kept == 0) {
        buffer_clear(&inflate->content);
    }
    assert(kept == buffer_size(&inflate->content));
    uint8_t *const to = buffer_reserve(&inflate->content, size > 0 ? size : 1);
    if (to == NULL) {
        return too_large(reterr);
    }
    if (!fill(inflate, &(ZSTD_outBuffer){.dst = to, .size = size})) {
        return ended_early(inflate, reterr);
    }
    buffer_commit(&inflate->content, size);
    *ret_bytes = (struct span){buffer_front(&inflate->content), buffer_size(&inflate->content)};
    return true;
}

bool
my_inflate_skip(struct my_inflate *inflate, size_t size, struct error *reterr)
{
    uint8_t nowhere[SKIP_BYTES];
    while (size > 0) {
        const size_t piece = size < SKIP_BYTES ? size : SKIP_BYTES;
        if (!fill(inflate, &(ZSTD_outBuffer){.dst = nowhere, .size = piece})) {
            return ended_early(inflate, reterr);
        }
        size -= piece;
    }
    return true;
}
