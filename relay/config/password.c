#include "relay/config/password.h"

#include <poll.h>

#include "base/command.h"
#include "base/memory.h"
#include "relay/config/secret.h"

static enum password_state
read_file(const char *path, char **ret_secret, struct error *reterr)
{
    *ret_secret = config_secret_read(path, reterr);
    if (*ret_secret == NULL) {
        (void)error_prefix(reterr, "password_file %s", path); /* always false */
    }
    return *ret_secret != NULL ? PASSWORD_HERE : PASSWORD_FAILED;
}

enum password_state
password_begin(struct password *self, const struct config_password *config, char **ret_secret,
               struct error *reterr)
{
    password_end(self);
    *ret_secret = NULL;
    if (config->file != NULL) {
        return read_file(config->file, ret_secret, reterr);
    }
    if (config->command == NULL) {
        return PASSWORD_HERE;
    }
    self->command =
        command_start(config->command, config->timeout_us, CONFIG_SECRET_MAX_BYTES, reterr);
    return self->command != NULL ? PASSWORD_WAITS : PASSWORD_FAILED;
}

enum password_state
password_look(struct password *self, char **ret_secret, struct error *reterr)
{
    char *output;
    size_t size;
    *ret_secret = NULL;
    if (!command_take(self->command, &output, &size, reterr)) {
        return PASSWORD_WAITS;
    }
    if (output != NULL && config_secret_trim(output, size, "it wrote nothing", reterr)) {
        *ret_secret = memory_string(output);
    } else {
        (void)error_prefix(reterr, "password_command"); /* always false */
    }
    password_end(self);
    return *ret_secret != NULL ? PASSWORD_HERE : PASSWORD_FAILED;
}

int
password_fd(const struct password *self)
{
    return self->command != NULL ? command_fd(self->command) : -1;
}

void
password_end(struct password *self)
{
    command_free(self->command);
    self->command = NULL;
}

void
password_cancel(struct password *self)
{
    if (self->command != NULL) {
        command_cancel(self->command);
    }
}

bool
password_get(const struct config_password *config, char **ret_secret, struct error *reterr)
{
    struct password self = {0};
    enum password_state state = password_begin(&self, config, ret_secret, reterr);
    while (state == PASSWORD_WAITS) {
        struct pollfd wait = {.fd = password_fd(&self), .events = POLLIN};
        (void)poll(&wait, 1, -1); /* the command's own time bounds it */
        state = password_look(&self, ret_secret, reterr);
    }
    return state == PASSWORD_HERE;
}
