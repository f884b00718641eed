/* tests/integration/log_fixture.h - what befalls the log that scene.relay reads, and how it is mended; each kind of database in its
 * own way. While applications write. */
#ifndef TESTS_INTEGRATION_LOG_FIXTURE_H
#define TESTS_INTEGRATION_LOG_FIXTURE_H

#include <stdbool.h>

enum log_trouble {
    LOG_REMOVED,        /* what the relay has not read yet of it */
    LOG_BEGUN_ANEW,     /* what is read afterwards does not go on from what was read before */
    LOG_NOT_KEPT,       /* there is none for the relay */
    LOG_WITHOUT_OUTBOX, /* what is written into that is left out */
    LOG_WITHOUT_ROWS,   /* there is something else in it */
    LOG_SWITCHED_OFF,   /* for all databases, on a server of the test's own */
};

/* As scene_open_tail and scene_close, on a database server of the test's own where such a trouble is that of all its databases. */
void log_open_scene(void);
void log_close_scene(void);

void log_harm(enum log_trouble trouble);
/* Waits for the relay to say what is wrong; the line lives until the next call. */
const char *log_await_told(enum log_trouble trouble);
void log_mend(enum log_trouble trouble);

/* How often it is to be tried: a relay is the more patient the more often its log was lost. */
unsigned log_rounds(enum log_trouble trouble);
/* The session that owns the outbox ends with it, and what was on its way may come twice. */
bool log_repeats(enum log_trouble trouble);

#endif
