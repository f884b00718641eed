/* relay/rabbit/topology.h - the exchanges, queues and bindings that the configuration wants on a broker: created if
 * missing, never changed, never deleted.
 *
 * AMQP cannot ask for the properties of an exchange or queue, only whether it exists (a passive declare). So an
 * existing one is declared again as it should be: that changes nothing, and the broker refuses if the two differ.
 * Bindings cannot be asked for at all. */
#ifndef RELAY_RABBIT_TOPOLOGY_H
#define RELAY_RABBIT_TOPOLOGY_H

#include <stdbool.h>

#include "relay/config/config.h"
#include "relay/rabbit/inquiry.h"

enum topology_finding {
    TOPOLOGY_THERE,   /* as configured */
    TOPOLOGY_MADE,    /* it was created */
    TOPOLOGY_UNSEEN,  /* the broker does not say whether it is as configured */
    TOPOLOGY_DIFFERS, /* it differs, and stays as it is */
    TOPOLOGY_LACKS,   /* it is missing */
};

/* `words` name the object, say what was found, and what to do if something must be done. */
typedef void (*topology_tell)(void *context, enum topology_finding finding, const char *words);

/* True if the configuration wants anything on this broker. */
bool topology_any(const struct config *config, const struct broker_config *broker);

/* Calls tell() once for each object. With `make` missing ones are created, else nothing is. False with inquiry->error
 * if the connection ended before all were told. */
bool topology_work(struct inquiry *inquiry, const struct config *config,
                   const struct broker_config *broker, bool make, topology_tell tell,
                   void *context) MUST_CHECK;

/* The command that gives the relay's user the rights for all of this, for publishing to the exchanges of the
 * sources, and for their fences (fence.h). A new string; memory_free. In topology_rights.c. */
char *topology_rights(const struct config *config, const struct broker_config *broker);

#endif
