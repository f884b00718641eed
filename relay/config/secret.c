#include "relay/config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "relay/config/value.h"

static bool
read_all(int fd, char *buffer, size_t size, size_t *ret_length, struct error *reterr)
{
    size_t length = 0;
    while (length < size) {
        const ssize_t got = read(fd, buffer + length, size - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_set(reterr, ERROR_CONFIG, "cannot be read: %s", strerror(errno));
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    *ret_length = length;
    return true;
}

static bool
check_file(int fd, struct error *reterr)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return error_set(reterr, ERROR_CONFIG, "cannot be read: %s", strerror(errno));
    }
    return S_ISREG(status.st_mode) || error_set(reterr, ERROR_CONFIG, "this is no regular file");
}

bool
config_secret_trim(char *secret, size_t length, const char *if_empty, struct error *reterr)
{
    if (length > 0 && secret[length - 1] == '\n') {
        length--;
    }
    if (length > 0 && secret[length - 1] == '\r') {
        length--;
    }
    secret[length] = '\0';
    if (strlen(secret) != length) {
        return error_set(reterr, ERROR_CONFIG, "a password has no zero byte");
    }
    return length > 0 || error_set(reterr, ERROR_CONFIG, "%s", if_empty);
}

/* Reads the secret into `buffer` of CONFIG_SECRET_MAX_BYTES + 1, zero-terminated. */
static bool
read_secret(int fd, char *buffer, struct error *reterr)
{
    size_t length = 0;
    if (!read_all(fd, buffer, CONFIG_SECRET_MAX_BYTES + 1, &length, reterr)) {
        return false;
    }
    if (length > CONFIG_SECRET_MAX_BYTES) {
        return error_set(reterr, ERROR_CONFIG, "a password has at most %d bytes",
                         CONFIG_SECRET_MAX_BYTES);
    }
    return config_secret_trim(buffer, length, "the file is empty", reterr);
}

char *
config_secret_read(const char *path, struct error *reterr)
{
    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        (void)error_set(reterr, ERROR_CONFIG, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    char buffer[CONFIG_SECRET_MAX_BYTES + 1];
    char *secret = NULL;
    if (check_file(fd, reterr) && read_secret(fd, buffer, reterr)) {
        secret = memory_string(buffer);
    }
    explicit_bzero(buffer, sizeof(buffer));
    (void)close(fd); /* was only read */
    return secret;
}

void
config_secret_warn(const char *path, const char *what, struct config_warnings *warnings)
{
    if (file_is_public(path)) {
        config_warn(warnings, "%s %s may be read by everybody: chmod o-r it", what, path);
    }
}

void
config_secret_free(char *secret)
{
    if (secret != NULL) {
        explicit_bzero(secret, strlen(secret));
        memory_free(secret);
    }
}
