#include "base/file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/test_file.XXXXXX";

static void
make_file(void)
{
    const int fd = mkstemp(path);
    cr_assert(fd >= 0 && close(fd) == 0);
}

static void
remove_file(void)
{
    cr_assert_eq(unlink(path), 0);
}

TestSuite(file, .init = make_file, .fini = remove_file, .timeout = 60);

static void
expect_unusable(const char *words)
{
    struct error error;
    char expected[200];
    (void)snprintf(expected, sizeof(expected), "cannot use keyfile %s: %s", path, words); /* fits */
    cr_assert_not(file_is_usable("keyfile", path, &error));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_str_eq(error.text, expected);
}

Test(file, a_regular_file_is_usable)
{
    struct error error;
    cr_assert(file_is_usable("keyfile", path, &error), "%s", error.text);
}

/* Opening it would wait for a writer. */
Test(file, a_pipe_is_not_and_nobody_waits_for_it)
{
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_unusable("this is no regular file");
}

Test(file, what_is_missing_is_told)
{
    cr_assert_eq(unlink(path), 0);
    expect_unusable("No such file or directory");
    cr_assert_not(file_is_public(path));
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_unusable("this is no regular file");
    cr_assert_eq(rmdir(path), 0);
    const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* for remove_file */
    cr_assert(fd >= 0 && close(fd) == 0);
}

Test(file, knows_who_may_read)
{
    cr_assert_not(file_is_public(path));
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_not(file_is_public(path));
    cr_assert_eq(chmod(path, 0644), 0);
    cr_assert(file_is_public(path));
}
