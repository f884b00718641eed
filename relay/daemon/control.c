#include "relay/daemon/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"

struct client {
    int fd; /* -1: none */
    bool asked;
    enum control_whom whom; /* if it asked */
};

struct control {
    char *path;
    int fd;
    struct client clients[CONTROL_CLIENTS_MAX];
};

static bool
address_of(const char *path, struct sockaddr_un *ret_address, struct error *reterr)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret_address->sun_path)) {
        return error_set(reterr, ERROR_CONFIG, "control: the path %s is too long", path);
    }
    (void)snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s", path); /* fits */
    return true;
}

/* True if a relay listens there; a file without one answers ECONNREFUSED. */
static bool
is_answered(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool answered =
        fd >= 0 &&
        (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);
    if (fd >= 0) {
        (void)close(fd); /* nothing was sent */
    }
    return answered;
}

static bool
listen_at(int fd, const char *path, struct error *reterr)
{
    struct sockaddr_un address;
    if (!address_of(path, &address, reterr)) {
        return false;
    }
    if (is_answered(&address)) {
        return error_set(reterr, ERROR_CONFIG, "control: another relay answers at %s", path);
    }
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        return error_set(reterr, ERROR_CONFIG,
                         "control: %s cannot be made: there is a file that is no socket", path);
    }
    (void)unlink(path); /* if it cannot be removed, bind says so */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return error_set(reterr, ERROR_CONFIG, "control: %s cannot be made: %s", path,
                         strerror(errno));
    }
    return listen(fd, CONTROL_CLIENTS_MAX) == 0 ||
           error_set(reterr, ERROR_CONFIG, "control: listen: %s", strerror(errno));
}

struct control *
control_open(const char *path, struct error *reterr)
{
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        (void)error_set(reterr, ERROR_CONFIG, "control: socket: %s", strerror(errno));
        return NULL;
    }
    if (!listen_at(fd, path, reterr)) {
        (void)close(fd); /* nothing was sent */
        return NULL;
    }
    struct control *const control = memory_array(1, sizeof(*control));
    control->path = memory_string(path);
    control->fd = fd;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        control->clients[i].fd = -1;
    }
    return control;
}

static void
hang_up(struct client *client)
{
    if (client->fd >= 0) {
        (void)close(client->fd); /* what was sent is on its way */
    }
    *client = (struct client){.fd = -1};
}

void
control_close(struct control *control)
{
    if (control == NULL) {
        return;
    }
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        hang_up(&control->clients[i]);
    }
    (void)unlink(control->path); /* a file that is left does not matter */
    (void)close(control->fd);    /* likewise */
    memory_free(control->path);
    memory_free(control);
}

const char *
control_path(const struct control *control)
{
    return control->path;
}

void
control_polls(const struct control *control, struct pollfd *ret_polls)
{
    for (size_t i = 0; i < CONTROL_POLLS_MAX; i++) {
        const int fd = control == NULL ? -1 : i == 0 ? control->fd : control->clients[i - 1].fd;
        ret_polls[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

/* A place for a new client: a free one, or that of one who has not asked for anything. */
static struct client *
place(struct control *control)
{
    struct client *silent = NULL;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *const client = &control->clients[i];
        if (client->fd < 0) {
            return client;
        }
        silent = client->asked ? silent : client;
    }
    if (silent != NULL) {
        hang_up(silent);
    }
    return silent;
}

static void
take_clients(struct control *control)
{
    for (int fd; (fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
        struct client *const client = place(control);
        if (client == NULL) {
            (void)close(fd); /* the client sees the end, and says that it was not answered */
        } else {
            *client = (struct client){.fd = fd};
        }
    }
}

/* True if it asks for a reload now. */
static bool
hear(struct client *client)
{
    char packet[16];
    const ssize_t size = recv(client->fd, packet, sizeof(packet), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (size == (ssize_t)strlen(CONTROL_REQUEST) &&
        memcmp(packet, CONTROL_REQUEST, (size_t)size) == 0 && !client->asked) {
        client->asked = true;
        client->whom = CONTROL_ASKING;
        return true;
    }
    hang_up(client); /* it went away, or says what no client of ours says */
    return false;
}

bool
control_work(struct control *control, const struct pollfd *polls)
{
    bool asked = false;
    if (control == NULL) {
        return false;
    }
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *const client = &control->clients[i];
        if (client->fd >= 0 && polls[i + 1].fd == client->fd && polls[i + 1].revents != 0) {
            asked |= hear(client);
        }
    }
    if (polls[0].revents != 0) {
        take_clients(control); /* after the others, whose entries they have not */
    }
    return asked;
}

void
control_accept(struct control *control)
{
    control_tell(control, CONTROL_WAITING, CONTROL_AFTER, "");
    for (size_t i = 0; control != NULL && i < CONTROL_CLIENTS_MAX; i++) {
        control->clients[i].whom = CONTROL_WAITING;
    }
}

void
control_tell(struct control *control, enum control_whom whom, const char *word, const char *text)
{
    char packet[CONTROL_PACKET_BYTES];
    const int length = snprintf(packet, sizeof(packet), "%s %s", word, text);
    const size_t size = (size_t)length < sizeof(packet) ? (size_t)length : sizeof(packet) - 1;
    for (size_t i = 0; control != NULL && i < CONTROL_CLIENTS_MAX; i++) {
        struct client *const client = &control->clients[i];
        if (!client->asked || client->whom != whom) {
            continue;
        }
        const bool sent =
            send(client->fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
        if (!sent || strcmp(word, CONTROL_PROBLEM) != 0) {
            hang_up(client);
        }
    }
}
