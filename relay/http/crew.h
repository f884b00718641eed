/* relay/http/crew.h - threads for work that may wait for a database, so that the server's own thread never does. They are
 * started when there is work, and stay. */
#ifndef RELAY_HTTP_CREW_H
#define RELAY_HTTP_CREW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct crew;

/* At most `threads_max` jobs are done at a time, and at most `jobs_max` wait. */
struct crew *crew_new(unsigned threads_max, unsigned jobs_max);

/* Has work(context, false) called by a thread of the crew; work(context, true) if the crew ends before its turn. False:
 * too many wait already, or there is no thread; nothing is called. Any thread. */
bool crew_do(struct crew *crew, void (*work)(void *context, bool ending), void *context);

/* No new work is taken; waits for what is being done, and frees the crew. False: some was not done in time; then the
 * threads go on, and the crew is not freed. Takes NULL. */
bool crew_stop(struct crew *crew, uint64_t patience_us);

/* Starts a thread of 512 KiB stack in which all signals are blocked. */
bool crew_thread(pthread_t *ret_thread, void *(*work)(void *context), void *context);

#endif
