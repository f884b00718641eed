#include "tests/unit/fake_redis.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* False when it is time to stop. */
static bool
readable(const struct fake_redis *fake, int fd)
{
    struct pollfd watched[2] = {{.fd = fd, .events = POLLIN},
                                {.fd = fake->stop[0], .events = POLLIN}};
    while (poll(watched, 2, -1) < 0) {
    }
    return watched[1].revents == 0;
}

static void
record(struct fake_redis *fake, const redisReply *command)
{
    const unsigned number = atomic_load(&fake->commands);
    cr_assert_lt(number, FAKE_REDIS_COMMANDS_MAX);
    char *seen = fake->seen[number];
    seen[0] = '\0';
    for (size_t i = 0; i < command->elements; i++) {
        const size_t used = strlen(seen);
        (void)snprintf(seen + used, sizeof(fake->seen[0]) - used, " %s", command->element[i]->str);
    }
    atomic_fetch_add(&fake->commands, 1);
}

static void
trickle(const struct fake_redis *fake, int fd, const char *reply)
{
    struct pollfd stop = {.fd = fake->stop[0], .events = POLLIN};
    for (; *reply != '\0' && poll(&stop, 1, 20) == 0; reply++) {
        (void)send(fd, reply, 1, MSG_NOSIGNAL);
    }
}

/* False: the connection must be closed. */
static bool
answer(struct fake_redis *fake, int fd)
{
    const char *reply = *fake->replies;
    if (reply == NULL) {
        return true;
    }
    fake->replies++;
    if (reply[0] == '\b') {
        trickle(fake, fd, reply + 1);
        return true;
    }
    (void)send(fd, reply, strlen(reply), MSG_NOSIGNAL);
    return reply[0] != '\v';
}

static void
serve(struct fake_redis *fake, int fd)
{
    redisReader *reader = redisReaderCreate();
    bool open = true;
    while (open && readable(fake, fd)) {
        char bytes[4096];
        const ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
        void *command = NULL;
        if (got <= 0) {
            break;
        }
        (void)redisReaderFeed(reader, bytes, (size_t)got);
        while (open && redisReaderGetReply(reader, &command) == REDIS_OK && command != NULL) {
            record(fake, command);
            freeReplyObject(command);
            open = answer(fake, fd);
        }
    }
    redisReaderFree(reader);
    (void)close(fd);
}

static void *
run(void *argument)
{
    struct fake_redis *fake = argument;
    while (readable(fake, fake->listener)) {
        const int fd = accept(fake->listener, NULL, NULL);
        if (fd >= 0) {
            atomic_fetch_add(&fake->connections, 1);
            serve(fake, fd);
        }
    }
    return NULL;
}

void
fake_redis_start(struct fake_redis *fake, const char *const *replies)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memset(fake, 0, sizeof(*fake));
    (void)snprintf(fake->directory, sizeof(fake->directory), "/tmp/fake-redis-XXXXXX");
    cr_assert_not_null(mkdtemp(fake->directory));
    (void)snprintf(fake->path, sizeof(fake->path), "%s/socket", fake->directory);
    memcpy(name.sun_path, fake->path, sizeof(fake->path));
    fake->replies = replies;
    cr_assert_eq(pipe(fake->stop), 0);
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fake->listener, (const struct sockaddr *)&name, sizeof(name)), 0);
    cr_assert_eq(listen(fake->listener, 8), 0);
    cr_assert_eq(pthread_create(&fake->thread, NULL, run, fake), 0);
}

void
fake_redis_stop(struct fake_redis *fake)
{
    (void)close(fake->stop[1]);
    (void)pthread_join(fake->thread, NULL);
    (void)close(fake->stop[0]);
    (void)close(fake->listener);
    (void)unlink(fake->path);
    (void)rmdir(fake->directory);
}
