#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool
file_is_usable(const char *name, const char *path, struct error *reterr)
{
    struct stat status;
    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return error_set(reterr, ERROR_CONFIG, "cannot use %s %s: %s", name, path, strerror(errno));
    }
    const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    (void)close(fd); /* was only looked at */
    return regular ||
           error_set(reterr, ERROR_CONFIG, "cannot use %s %s: this is no regular file", name, path);
}

bool
file_is_public(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0;
}
