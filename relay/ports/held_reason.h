/* relay/ports/held_reason.h - classes of the reasons for which messages are held, few enough for a metric. outbox_held has
 * the reason as a text, in the words of the relay or the broker; these words tell the class. */
#ifndef RELAY_PORTS_HELD_REASON_H
#define RELAY_PORTS_HELD_REASON_H

#include <stdint.h>

enum held_reason {
    HELD_REASON_UNROUTABLE,  /* no queue took it */
    HELD_REASON_NACKED,      /* a queue is full or failing */
    HELD_REASON_NO_EXCHANGE, /* NOT_FOUND */
    HELD_REASON_DENIED,      /* ACCESS_REFUSED */
    HELD_REASON_TOO_LARGE,   /* for the broker, or for any */
    HELD_REASON_INVALID,     /* it can never be a message: its headers, or a value is missing */
    HELD_REASON_CUT,         /* the connection ended whenever it was sent */
    HELD_REASON_OTHER,
};
#define HELD_REASONS 8

/* So many bytes of a text are looked at. */
#define HELD_REASON_BYTES 100
/* So many messages of a state are looked at: there may be a million, and each has to be read. */
#define HELD_REASON_MESSAGES 10000

/* The class of a text, of which the first HELD_REASON_BYTES are enough; NULL: none is known. */
enum held_reason held_reason_of(const char *text);

/* Held messages by class: those that are tried again, and dead ones. */
struct held_reasons {
    uint64_t retrying[HELD_REASONS];
    uint64_t dead[HELD_REASONS];
};

#endif
