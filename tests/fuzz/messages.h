/* tests/fuzz/messages.h - the format of the files in corpus/pgoutput: the oid of the outbox (4 bytes, big-endian), then
 * the messages of one stream, each after its length (2 bytes). A length beyond the end means all the rest, so that
 * every input of a fuzzer is a stream. */
#ifndef TESTS_FUZZ_MESSAGES_H
#define TESTS_FUZZ_MESSAGES_H

#include "amqp/wire.h"

static inline struct reader
messages_begin(const void *bytes, size_t size, uint32_t *ret_outbox_oid)
{
    struct reader reader = reader_of((struct span){bytes, size});
    *ret_outbox_oid = read_u32(&reader);
    return reader;
}

/* False: there are no more. */
static inline bool
messages_next(struct reader *reader, struct span *ret_message)
{
    const size_t announced = read_u16(reader);
    const size_t left = (size_t)(reader->end - reader->at);
    *ret_message = read_bytes(reader, announced < left ? announced : left);
    return !reader->bad;
}

#endif
