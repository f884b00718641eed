/* relay/config/password.h - the password for a connection that is to be made: the present content of the section's
 * password_file, or what its password_command writes, which is waited for without blocking. */
#ifndef RELAY_CONFIG_PASSWORD_H
#define RELAY_CONFIG_PASSWORD_H

#include "base/error.h"
#include "relay/config/config.h"

struct command;

/* A password that is being asked for. All zeros: none is. */
struct password {
    struct command *command;
};

enum password_state {
    PASSWORD_WAITS, /* the command runs: poll password_fd, then call password_look */
    PASSWORD_HERE,
    PASSWORD_FAILED,
};

/* Begins to ask, in place of what was asked before. HERE: *ret_secret is for config_secret_free; NULL: the section names
 * no file and no command. FAILED: *reterr, which begins with the name of the key. */
enum password_state password_begin(struct password *self, const struct config_password *config,
                                   char **ret_secret, struct error *reterr) MUST_CHECK;

/* The same for what was begun. After HERE and FAILED nothing is asked for any more. */
enum password_state password_look(struct password *self, char **ret_secret,
                                  struct error *reterr) MUST_CHECK;

/* Readable when password_look has news; -1 if nothing is asked for. */
int password_fd(const struct password *self);

/* Gives up, and ends the command. */
void password_end(struct password *self);

/* Any thread, as long as the owner does not call the functions above meanwhile: ends the command, so that the next
 * password_look finds that it failed. */
void password_cancel(struct password *self);

/* Waits for it, for the foreground and for threads that may block. */
bool password_get(const struct config_password *config, char **ret_secret,
                  struct error *reterr) MUST_CHECK;

#endif
