/* base/command.h - a shell command that runs while its owner does other things. A thread of its own waits for it, and an
 * eventfd says when it is over. Nothing outlives it: when the shell has ended, when the time is over, or when nobody wants
 * the output any more, its whole process group is killed. It gets an empty standard input, no descriptor but the first
 * three, and no signal blocked or ignored. */
#ifndef BASE_COMMAND_H
#define BASE_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct command;

/* Starts `/bin/sh -c line`, which may write up to output_max bytes to its standard output, within timeout_us. NULL with
 * *reterr if memory, descriptors or threads are out. */
struct command *command_start(const char *line, uint64_t timeout_us, size_t output_max,
                              struct error *reterr);

/* Readable when it is over. */
int command_fd(const struct command *command);

/* False while it runs. Then *ret_output is what it wrote, *ret_size bytes and a zero byte behind
 * them, to be changed and wiped by the caller until command_free. NULL with *reterr if it failed: it ended with another exit
 * status than 0 or by a signal, took too long, wrote too much or was cancelled. The error has the first line of its standard
 * error, without control characters, unless its output is in that line. Class ERROR_CONFIG if the shell did not find or
 * could not run a program, else ERROR_CONNECTION. */
bool command_take(struct command *command, char **ret_output, size_t *ret_size,
                  struct error *reterr) MUST_CHECK;

/* Any thread, as long as the command is not freed: kills it, after which it is soon over. */
void command_cancel(struct command *command);

/* Kills it if it still runs, and wipes the output. Does not wait. Takes NULL. */
void command_free(struct command *command);

#endif
