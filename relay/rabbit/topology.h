/* relay/rabbit/topology.h - the exchanges, queues and bindings that the configuration wants on a broker: made where they
 * are not, never changed, never deleted.
 *
 * AMQP cannot ask what something is like, only whether it is there (a passive declare). So what is there is declared once more
 * as it should be: that changes nothing, and the broker refuses where the two differ. For bindings there is no question at
 * all. */
#ifndef RELAY_RABBIT_TOPOLOGY_H
#define RELAY_RABBIT_TOPOLOGY_H

#include <stdbool.h>

#include "relay/config/config.h"
#include "relay/rabbit/inquiry.h"

enum topology_finding {
    TOPOLOGY_THERE,   /* as configured */
    TOPOLOGY_MADE,    /* now it is there */
    TOPOLOGY_UNSEEN,  /* the broker does not say whether it is as configured */
    TOPOLOGY_DIFFERS, /* it is there otherwise, and stays so */
    TOPOLOGY_LACKS,   /* it is not there */
};

/* `words` name the thing, say how it stands, and what to do about it where something must be done. */
typedef void (*topology_tell)(void *context, enum topology_finding finding, const char *words);

/* Whether the configuration wants anything of this broker. */
bool topology_any(const struct config *config, const struct broker_config *broker);

/* Tells of each thing once. With `make` what is not there is made, else nothing is. False with inquiry->error when the
 * connection is over before all was told. */
bool topology_work(struct inquiry *inquiry, const struct config *config,
                   const struct broker_config *broker, bool make, topology_tell tell,
                   void *context) MUST_CHECK;

/* The command that gives the relay's user the rights to all of it, and to publish to the exchanges of the sources. A new
 * string; memory_free. topology_rights.c. */
char *topology_rights(const struct config *config, const struct broker_config *broker);

#endif
