/* amqp/codec.h - rabbitmq-c as the codec of rare methods: it knows their fields and the order of these. Frequent methods
 * (publish, confirms, deliveries) are written and read by hand elsewhere. */
#ifndef AMQP_CODEC_H
#define AMQP_CODEC_H

#include "amqp/connection.h"

struct codec;

struct codec *codec_new(void); /* NULL when memory is out */
void codec_free(struct codec *codec);

/* Decodes the arguments of a method into rabbitmq-c's struct for it, good until the next
 * codec_decode; strings point into `arguments`. NULL if they are malformed. */
const void *codec_decode(struct codec *codec, uint32_t method, struct span arguments);

/* Appends one method frame; `decoded` is rabbitmq-c's struct for the method, `room` the most its
 * arguments take. False if a name in it is over 255 bytes, or when the buffer is full. */
bool codec_append(struct buffer *output, uint16_t channel, uint32_t method, const void *decoded,
                  size_t room) MUST_CHECK;

#endif
