/* relay/core/pipeline_probe.h - probes: held messages that are tried again, on a lane of their own. */
#ifndef RELAY_CORE_PIPELINE_PROBE_H
#define RELAY_CORE_PIPELINE_PROBE_H

#include "relay/core/held.h"
#include "relay/core/pipeline.h"
#include "relay/core/window.h"

#define PROBES_MAX 64 /* read in one fetch */

struct probing {
    uint64_t rest_until_us; /* no probe is read before this time */
};

/* When the next may be read. */
uint64_t probing_deadline_us(const struct pipeline *pipeline);
/* A held message was read; held.changes was sent_change when the fetch was sent. False: it must not be published now. */
bool probing_admit(struct pipeline *pipeline, const struct row *row, uint64_t sent_change,
                   uint64_t now_us) MUST_CHECK;
/* All messages of the fetch that was sent at sent_us were handled. complete: there were no more. */
void probing_came(struct pipeline *pipeline, bool complete, uint64_t sent_us, uint64_t now_us);

/* True if this probe is the entry's head, being tried now. */
bool probing_is_head(const struct held_entry *entry, const struct window_entry *probe);
void probing_confirmed(struct pipeline *pipeline, const struct window_entry *probe);
/* The probe failed, but not because of its message: it is due again at once. */
void probing_failed(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                    uint64_t now_us);

#endif
