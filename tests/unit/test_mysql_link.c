#include "relay/mysql/link.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

/* It never answers, like a server that hangs or a network that loses everything. */
static int
listen_in_silence(unsigned *ret_port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 5), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void
never_called(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    (void)self;
    (void)job;
    (void)now_us;
    cr_assert_fail("the link calls nobody by itself");
}

static struct my_link *
start(char *dsn)
{
    static char name[] = "orders";
    static struct source_config config = {.name = name, .takeover_us = 10 * CLOCK_S_US};
    struct error error;
    config.dsn = dsn;
    struct my_link *link = my_link_start(&config, -1, never_called, &error);
    cr_assert_not_null(link, "%s", error.text);
    return link;
}

/* The library would wait for its connect_timeout, an hour here. */
Test(mysql_link, whoever_stops_it_does_not_wait_for_a_silent_server, .timeout = 60)
{
    unsigned port;
    char dsn[100];
    const int server = listen_in_silence(&port);
    (void)snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%u connect_timeout=3000", port);
    struct my_link *link = start(dsn);
    const int session = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(session, 0);
    cr_assert_gt(my_link_waits_since_us(link), 0);
    cr_assert_null(my_link_take(link));
    my_link_stop(link, 100 * CLOCK_MS_US);
    cr_assert_eq(close(session), 0);
    cr_assert_eq(close(server), 0);
}

Test(mysql_link, says_why_no_host_could_be_had, .timeout = 60)
{
    unsigned port;
    char dsn[100];
    const int server = listen_in_silence(&port);
    cr_assert_eq(close(server), 0); /* so that nothing listens there */
    (void)snprintf(dsn, sizeof(dsn), "host=127.0.0.1,127.0.0.1 port=%u", port);
    struct my_link *link = start(dsn);
    struct pollfd readable = {.fd = my_link_fd(link), .events = POLLIN};
    cr_assert_eq(poll(&readable, 1, -1), 1);
    struct my_job *job = my_link_take(link);
    cr_assert_not_null(job);
    cr_assert(!job->ok && job->broken && job->error.class == ERROR_CONNECTION);
    cr_assert(strstr(job->error.text, "127.0.0.1") != NULL, "%s", job->error.text);
    my_link_stop(link, 0);
}
