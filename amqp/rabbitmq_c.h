/* amqp/rabbitmq_c.h - the headers of rabbitmq-c, which moved in version 0.12. */
#ifndef AMQP_RABBITMQ_C_H
#define AMQP_RABBITMQ_C_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#endif

#endif
