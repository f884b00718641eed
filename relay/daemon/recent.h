/* relay/daemon/recent.h - the last events of the log, for whoever looks at a running relay: of each what people read
 * first. Of bounded size, whatever is logged; long texts are cut. Events of level debug are left out: they would push out
 * the others. Like the log it has no payload and no secret. Any thread. */
#ifndef RELAY_DAEMON_RECENT_H
#define RELAY_DAEMON_RECENT_H

#include "relay/daemon/log.h"

#define RECENT_MAX 100

/* Texts are as they were logged, even if they are not UTF-8: make them safe before they are shown. "": there was none. */
struct recent_event {
    uint64_t number; /* 1 for the first event of the process, 2, … */
    uint64_t wall_us;
    enum log_level level;
    char event[40];
    char source[64];
    char words[256];
    char error[300]; /* or the reason */
};

/* For log.c: notes an event. source: the thread's own, NULL for none; a field "source" comes before it. */
void recent_note(uint64_t wall_us, enum log_level level, const char *event, const char *source,
                 const struct log_field *fields);

/* Copies the events that are still there and have a higher number than `after`, the oldest first. Returns how many. */
size_t recent_get(uint64_t after, struct recent_event ret_events[RECENT_MAX]);

#endif
