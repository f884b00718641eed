/* relay/mysql/inflate.h - what the servers compress in their log: MariaDB single events, by zlib, with the size before it
 * (log_bin_compress); MySQL whole transactions, by zstd (binlog_transaction_compression). No more memory than was allowed is
 * taken, whatever the bytes say: of a transaction, one event at a time. */
#ifndef RELAY_MYSQL_INFLATE_H
#define RELAY_MYSQL_INFLATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

struct my_inflate;

/* bytes_max: of one record, or one piece that is read. Once *stopping is set, by any thread, what is under way fails within a
 * millisecond or so, however much is left of it; NULL: nothing ends it. */
struct my_inflate *my_inflate_new(size_t bytes_max, const atomic_bool *stopping);
void my_inflate_free(struct my_inflate *inflate);

/* One record of MariaDB's. What it was is good until the next call. False: it is no such record, or too large. */
bool my_inflate_record(struct my_inflate *inflate, struct span record, struct span *ret_content,
                       struct error *reterr) MUST_CHECK;

enum my_compression { MY_COMPRESSION_ZSTD, MY_COMPRESSION_NONE };

/* `size` is what it is uncompressed. What is compressed must stay until all of it is read. */
void my_inflate_open(struct my_inflate *inflate, enum my_compression compression,
                     struct span compressed, uint64_t size);

/* So much was not read yet. */
uint64_t my_inflate_left(const struct my_inflate *inflate);

/* The next `size` bytes. *ret_bytes: they, behind the `kept` bytes that the last call gave (0: without), good until the next
 * call. False: there are fewer, they are damaged, or it is too large. */
bool my_inflate_read(struct my_inflate *inflate, size_t kept, size_t size, struct span *ret_bytes,
                     struct error *reterr) MUST_CHECK;
bool my_inflate_skip(struct my_inflate *inflate, size_t size, struct error *reterr) MUST_CHECK;

#endif
