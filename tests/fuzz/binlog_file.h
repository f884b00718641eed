/* tests/fuzz/binlog_file.h - the format of the files in corpus/binlog, which is the server's: a magic number, then
 * events, each with its size in its header. A size beyond the end, or smaller than a header, means all the rest, so
 * that every input of a fuzzer is a log. */
#ifndef TESTS_FUZZ_BINLOG_FILE_H
#define TESTS_FUZZ_BINLOG_FILE_H

#include "base/reader.h"
#include "relay/mysql/binlog.h"

#define BINLOG_FILE_MAGIC_BYTES 4
#define BINLOG_FILE_SIZE_AT 9 /* in the header */

static inline struct reader
binlog_file_begin(const void *bytes, size_t size)
{
    struct reader reader = reader_of((struct span){bytes, size});
    (void)read_bytes(&reader, BINLOG_FILE_MAGIC_BYTES);
    return reader;
}

/* False: there are no more. */
static inline bool
binlog_file_next(struct reader *reader, struct span *ret_event)
{
    const size_t left = (size_t)(reader->end - reader->at);
    struct reader header = *reader;
    (void)read_bytes(&header, BINLOG_FILE_SIZE_AT);
    const size_t size = read_little(&header, 4);
    *ret_event = read_bytes(reader, size >= MY_BINLOG_HEADER_BYTES && size < left ? size : left);
    return ret_event->size > 0;
}

#endif
