/* relay/daemon/control.h - the socket over which `outbox-relay reload` tells a running relay to read its configuration
 * again, and hears what came of it. A socket cannot be stale as the file with a process's number can: nobody answers when
 * the relay is gone. Its file is for the relay's user and root (umask of the process).
 *
 * A client sends the packet "reload"; each answer is a packet, whose first word says what the rest is (below). The relay
 * closes the connection after the last one. Never blocks. Main thread only. */
#ifndef RELAY_DAEMON_CONTROL_H
#define RELAY_DAEMON_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* First words of answers; these five end the conversation, `problem` does not. */
#define CONTROL_IN_FORCE "in-force" /* all sources run with the new settings; the rest are words */
#define CONTROL_FAILED \
    "failed" /* likewise, but some cannot be started; each was told as a problem */
#define CONTROL_REFUSED \
    "refused" /* the configuration is bad, and each of its lines was told as a problem */
#define CONTROL_STOPPING "stopping" /* the relay ends */
#define CONTROL_AFTER "superseded"  /* another reload came before this one was in force */
#define CONTROL_PROBLEM "problem"   /* a line */
#define CONTROL_REQUEST "reload"

#define CONTROL_CLIENTS_MAX 8
#define CONTROL_POLLS_MAX (CONTROL_CLIENTS_MAX + 1)
#define CONTROL_PACKET_BYTES 4096 /* longer answers are cut */

struct control;
struct pollfd;

/* Listens at `path`. A file that an earlier relay left is replaced. NULL with *reterr, also if another relay answers
 * there. */
struct control *control_open(const char *path, struct error *reterr);

/* Removes the file. Takes NULL. */
void control_close(struct control *control);

const char *control_path(const struct control *control);

/* Fills in all CONTROL_POLLS_MAX entries, with -1 for unused ones. Takes NULL. */
void control_polls(const struct control *control, struct pollfd *ret_polls);

/* After poll(2): takes what came. True if somebody asks for a reload. Takes NULL. */
bool control_work(struct control *control, const struct pollfd *polls);

/* Those who asked since the last control_accept, and those whose reload is accepted. */
enum control_whom { CONTROL_ASKING, CONTROL_WAITING };

/* What is asked for is done now, and those who ask wait for the end of it. Those who waited are told CONTROL_AFTER. Takes
 * NULL. */
void control_accept(struct control *control);

/* After any word but CONTROL_PROBLEM they have their answer. Takes NULL. */
void control_tell(struct control *control, enum control_whom whom, const char *word,
                  const char *text);

#endif
