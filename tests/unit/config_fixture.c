#include "tests/unit/config_fixture.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/kinds/kinds.h"
#include "relay/rabbit/kind.h"

char conf_problems[8000];
static char directory[] = "/tmp/test_config.XXXXXX";

void
conf_enter(void)
{
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
}

void
conf_leave(void)
{
    cr_assert_eq(chdir("/"), 0);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -r %s", directory); /* fits */
    cr_assert_eq(system(command), 0);
}

void
conf_write(const char *path, const char *text, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    cr_assert_eq(close(fd), 0);
}

static void
collect(void *context, const char *problem)
{
    char *const all = context;
    const size_t length = strlen(all);
    (void)snprintf(all + length, sizeof(conf_problems) - length, "%s\n",
                   problem); /* compared as a whole */
}

struct config *
conf_load_file(const char *path)
{
    conf_problems[0] = '\0';
    return config_load(path, database_kinds, &broker_rabbit, collect, conf_problems);
}

struct config *
conf_load(const char *path, const char *text)
{
    conf_write(path, text, 0600);
    return conf_load_file(path);
}

struct config *
conf_load_good(const char *text)
{
    struct config *const config = conf_load("relay.conf", text);
    cr_assert_not_null(config, "%s", conf_problems);
    cr_assert_str_empty(conf_problems);
    return config;
}

void
conf_expect_problems(const char *text, const char *expected)
{
    struct config *const config = conf_load("relay.conf", text);
    cr_assert_null(config, "accepted:\n%s", text);
    cr_assert_str_eq(conf_problems, expected, "of:\n%s\nexpected:\n%s\ngot:\n%s", text, expected,
                     conf_problems);
}
