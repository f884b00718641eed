/* relay/daemon/log_writer.h - writes log lines to a descriptor without ever blocking the caller: a pipe that nobody
 * reads, a terminal stopped with Ctrl-S or a disk that hangs may block a write forever.
 *
 * Lines go into a buffer of 1 MiB, and a thread writes each by one write(2). When the buffer is full, new lines are
 * dropped and counted until the whole buffer is written; then a line says how many are missing there. */
#ifndef RELAY_DAEMON_LOG_WRITER_H
#define RELAY_DAEMON_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct log_writer;

/* Formats the line that says how many lines were dropped: at most `size` bytes into `line`, with its newline; returns
 * the length. Called by the writer's thread. */
typedef size_t log_writer_tell(char *line, size_t size, uint64_t dropped);

/* Starts the thread, with all signals blocked in it. fd is borrowed until
 * log_writer_free. NULL with *reterr. */
struct log_writer *log_writer_start(int fd, log_writer_tell *tell, struct error *reterr);

/* One line, with its newline; copied. Any thread; never waits for the descriptor. */
void log_writer_put(struct log_writer *writer, const char *line, size_t size);

/* Waits until all lines are written, for at most patience_us. False if they are not: then only the end of the process
 * frees the writer. Any thread. */
bool log_writer_flush(struct log_writer *writer, uint64_t patience_us) MUST_CHECK;

/* Ends the thread when it has written everything. This waits for the descriptor: call it only after log_writer_flush
 * returned true, when nobody logs any more. Takes NULL. */
void log_writer_free(struct log_writer *writer);

#endif
