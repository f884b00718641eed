/* tests/integration/log_fixture.h - damages the log that scene.relay reads, and repairs it; each kind of database has
 * its own ways. Applications write meanwhile. */
#ifndef TESTS_INTEGRATION_LOG_FIXTURE_H
#define TESTS_INTEGRATION_LOG_FIXTURE_H

#include <stdbool.h>

enum log_trouble {
    LOG_REMOVED,        /* the part that the relay has not read yet */
    LOG_BEGUN_ANEW,     /* later parts do not continue the earlier ones */
    LOG_NOT_KEPT,       /* there is no log for the relay */
    LOG_WITHOUT_OUTBOX, /* rows of the outbox are left out */
    LOG_WITHOUT_ROWS,   /* it has other events instead of rows */
    LOG_SWITCHED_OFF,   /* for all databases, on the test's own server */
};

/* Like scene_open_tail and scene_close, on the test's own database server if the trouble affects all databases of the
 * server. */
void log_open_scene(void);
void log_close_scene(void);

void log_harm(enum log_trouble trouble);
/* Waits for the relay's message about the trouble; the line is valid until the next call. */
const char *log_await_told(enum log_trouble trouble);
void log_mend(enum log_trouble trouble);

/* How often to repeat the trouble: a relay waits longer each time that its log is lost. */
unsigned log_rounds(enum log_trouble trouble);
/* True if the owning session ends with the trouble, so that messages in flight may come twice. */
bool log_repeats(enum log_trouble trouble);

#endif
