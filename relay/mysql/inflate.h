/* relay/mysql/inflate.h - decompresses the parts of the log that the servers compress: MariaDB single events, by zlib,
 * with the size before them (log_bin_compress); MySQL whole transactions, by zstd (binlog_transaction_compression).
 * Whatever the bytes are, it takes no more memory than the caller allows: a transaction is decompressed event by
 * event. */
#ifndef RELAY_MYSQL_INFLATE_H
#define RELAY_MYSQL_INFLATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

struct my_inflate;

/* bytes_max: the limit for one record, or for one piece that is read. Once any thread sets *stopping, the current call
 * fails within about a millisecond, however much is left; NULL: nothing interrupts it. */
struct my_inflate *my_inflate_new(size_t bytes_max, const atomic_bool *stopping);
void my_inflate_free(struct my_inflate *inflate);

/* Decompresses one record of MariaDB. *ret_content is valid until the next call. False: it is damaged or too large. */
bool my_inflate_record(struct my_inflate *inflate, struct span record, struct span *ret_content,
                       struct error *reterr) MUST_CHECK;

enum my_compression { MY_COMPRESSION_ZSTD, MY_COMPRESSION_NONE };

/* Begins a transaction; `size` is its uncompressed size. `compressed` must stay valid until all of it is read. */
void my_inflate_open(struct my_inflate *inflate, enum my_compression compression,
                     struct span compressed, uint64_t size);

/* The uncompressed bytes that were not read yet. */
uint64_t my_inflate_left(const struct my_inflate *inflate);

/* Reads the next `size` bytes. *ret_bytes: these bytes, after the `kept` bytes that the last call gave (0: without
 * them); valid until the next call. False: there are fewer, they are damaged, or they are too large. */
bool my_inflate_read(struct my_inflate *inflate, size_t kept, size_t size, struct span *ret_bytes,
                     struct error *reterr) MUST_CHECK;
bool my_inflate_skip(struct my_inflate *inflate, size_t size, struct error *reterr) MUST_CHECK;

#endif
