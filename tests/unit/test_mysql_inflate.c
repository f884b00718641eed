#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "relay/mysql/inflate.h"

#define BYTES_MAX 100000
#define LONG 50000

static struct my_inflate *inflate_it;
static atomic_bool stopping;
static struct error error;
static uint8_t text[LONG]; /* to be compressed */
static uint8_t compressed[2 * LONG];
static size_t size;
static struct span content;

static void
setup(void)
{
    inflate_it = my_inflate_new(BYTES_MAX, &stopping);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (uint8_t)(i * i >> 7);
    }
}

static void
teardown(void)
{
    my_inflate_free(inflate_it);
}

TestSuite(mysql_inflate, .init = setup, .fini = teardown);

/* The bytes have memory of their own size, so the sanitizer notices a read past their end. */
static bool
take_record(const void *bytes, size_t count)
{
    uint8_t *const exact = malloc(count > 0 ? count : 1);
    cr_assert_not_null(exact);
    memcpy(exact, bytes, count);
    const bool good = my_inflate_record(inflate_it, (struct span){exact, count}, &content, &error);
    free(exact);
    return good;
}

/* As MariaDB writes it: the size in as many bytes as necessary, the highest first. */
static void
make_record(size_t text_size, size_t announced)
{
    uLongf room = sizeof(compressed) - 5;
    const size_t bytes = announced < 0x100 ? 1 : announced < 0x10000 ? 2 : 4;
    compressed[0] = (uint8_t)(0x80 | bytes);
    for (size_t i = 0; i < bytes; i++) {
        compressed[1 + i] = (uint8_t)(announced >> 8 * (bytes - 1 - i));
    }
    cr_assert_eq(compress(compressed + 1 + bytes, &room, text, text_size), Z_OK);
    size = 1 + bytes + room;
}

Test(mysql_inflate, records)
{
    static const size_t sizes[] = {0, 1, 255, 256, LONG};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        make_record(sizes[i], sizes[i]);
        cr_assert(take_record(compressed, size), "%s", error.text);
        cr_assert_eq(content.size, sizes[i]);
        cr_assert(memcmp(content.data, text, sizes[i]) == 0);
    }
}

Test(mysql_inflate, a_record_of_another_size)
{
    make_record(1000, 999);
    cr_assert_not(take_record(compressed, size));
    make_record(1000, 1001);
    cr_assert_not(take_record(compressed, size));
    cr_assert_eq(error.class, ERROR_CONNECTION);
}

/* Whatever size it announces, no more memory is taken than allowed. */
Test(mysql_inflate, a_record_that_is_too_large)
{
    make_record(1000, BYTES_MAX + 1);
    cr_assert_not(take_record(compressed, size));
    cr_assert_eq(error.class, ERROR_TRANSIENT);
    make_record(1000, UINT32_MAX);
    cr_assert_not(take_record(compressed, size));
    cr_assert_eq(error.class, ERROR_TRANSIENT);
}

Test(mysql_inflate, no_record)
{
    static const char *const heads[] = {"\x01\x01", "\x91\x01", "\x80\x01", "\x85\1\1\1\1\1"};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        cr_assert_not(take_record(heads[i], strlen(heads[i])));
    }
    make_record(1000, 1000);
    for (size_t cut = 0; cut < size; cut++) {
        cr_assert_not(take_record(compressed, cut), "%zu of %zu bytes", cut, size);
    }
}

/* ---- transactions ---- */

static void
open_text(enum my_compression compression, uint64_t announced)
{
    size = ZSTD_compress(compressed, sizeof(compressed), text, sizeof(text), 3);
    cr_assert_not(ZSTD_isError(size));
    const bool plain = compression == MY_COMPRESSION_NONE;
    my_inflate_open(inflate_it, compression,
                    plain ? (struct span){text, sizeof(text)} : (struct span){compressed, size},
                    announced);
}

static void
expect_bytes(size_t kept, size_t count, size_t at)
{
    cr_assert(my_inflate_read(inflate_it, kept, count, &content, &error), "%s", error.text);
    cr_assert_eq(content.size, kept + count);
    cr_assert(memcmp(content.data, text + at, kept + count) == 0);
}

static void
read_pieces(enum my_compression compression)
{
    open_text(compression, LONG);
    expect_bytes(0, 19, 0);
    expect_bytes(19, 100, 0);
    expect_bytes(119, 0, 0);
    cr_assert(my_inflate_skip(inflate_it, 20000, &error), "%s", error.text);
    expect_bytes(0, 1, 20119);
    cr_assert_eq(my_inflate_left(inflate_it), LONG - 20120);
    expect_bytes(0, LONG - 20120, 20120);
    cr_assert_eq(my_inflate_left(inflate_it), 0);
    cr_assert_not(my_inflate_read(inflate_it, 0, 1, &content, &error));
    cr_assert_not(my_inflate_skip(inflate_it, 1, &error));
}

Test(mysql_inflate, pieces)
{
    read_pieces(MY_COMPRESSION_ZSTD);
    read_pieces(MY_COMPRESSION_NONE);
    read_pieces(MY_COMPRESSION_ZSTD); /* again, after it has ended */
}

Test(mysql_inflate, more_was_announced_than_there_is)
{
    open_text(MY_COMPRESSION_ZSTD, LONG + 1);
    cr_assert(my_inflate_skip(inflate_it, LONG, &error), "%s", error.text);
    cr_assert_not(my_inflate_read(inflate_it, 0, 1, &content, &error));
    cr_assert_eq(error.class, ERROR_CONNECTION);
}

Test(mysql_inflate, a_piece_that_is_too_large)
{
    open_text(MY_COMPRESSION_ZSTD, UINT64_MAX);
    cr_assert_not(my_inflate_read(inflate_it, 0, BYTES_MAX + 1, &content, &error));
    cr_assert_eq(error.class, ERROR_TRANSIENT);
    expect_bytes(0, 19, 0);
    cr_assert_not(my_inflate_read(inflate_it, 19, BYTES_MAX - 18, &content, &error));
}

Test(mysql_inflate, damage)
{
    open_text(MY_COMPRESSION_ZSTD, LONG);
    compressed[0] ^= 1;
    cr_assert_not(my_inflate_read(inflate_it, 0, 19, &content, &error));
    cr_assert_eq(error.class, ERROR_CONNECTION);
}

/* ---- in the middle of it ---- */

Test(mysql_inflate, it_is_to_stop)
{
    open_text(MY_COMPRESSION_NONE, LONG);
    expect_bytes(0, 19, 0);
    atomic_store(&stopping, true);
    cr_assert_not(my_inflate_skip(inflate_it, 20000, &error));
    cr_assert_eq(error.class, ERROR_TRANSIENT);
    cr_assert_not(my_inflate_read(inflate_it, 0, 20000, &content, &error));
    make_record(LONG, LONG);
    cr_assert_not(take_record(compressed, size));
    cr_assert_eq(error.class, ERROR_TRANSIENT);
}
