/* relay/daemon/log_writer.h - takes log lines to a descriptor without ever making the one who logs wait: a pipe that nobody
 * empties, a terminal that was stopped with Ctrl-S or a disk that hangs may block a write for ever.
 *
 * Lines go into a buffer of 1 MiB, a thread writes them out, each by a write(2) of its own. When the buffer is full,
 * what comes is dropped and counted until all of it is out; then a line in the place of the gap says how many. */
#ifndef RELAY_DAEMON_LOG_WRITER_H
#define RELAY_DAEMON_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct log_writer;

/* Makes the line that tells of `dropped` lines: at most `size` bytes into `line`, with its newline; returns the length.
 * Called by the writer's thread. */
typedef size_t log_writer_tell(char *line, size_t size, uint64_t dropped);

/* Starts the thread, with all signals blocked in it. fd is borrowed until
 * log_writer_free. NULL with *reterr. */
struct log_writer *log_writer_start(int fd, log_writer_tell *tell, struct error *reterr);

/* One line, with its newline; copied. Any thread; never waits for the descriptor. */
void log_writer_put(struct log_writer *writer, const char *line, size_t size);

/* Waits until all that was put is written, for at most patience_us. False if it is not: then only the end of the process
 * frees the writer. Any thread. */
bool log_writer_flush(struct log_writer *writer, uint64_t patience_us) MUST_CHECK;

/* Ends the thread when it has written what it has: waits for the descriptor, so only after a flush that was true, and with
 * nobody logging any more. Takes NULL. */
void log_writer_free(struct log_writer *writer);

#endif
