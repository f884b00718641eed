#include <string.h>
#include <sys/stat.h>

#include "base/dsn.h"
#include "base/file.h"

const char *const dsn_file_names[] = {"sslrootcert", "sslcert", "sslkey", "sslcrl", NULL};

const char *
dsn_file(const struct dsn *dsn, const char *name)
{
    const char *const path = dsn_value(dsn, name);
    if (path == NULL || (strcmp(name, "sslrootcert") == 0 && strcmp(path, "system") == 0) ||
        (strcmp(name, "sslkey") == 0 && strchr(path, ':') != NULL)) {
        return NULL;
    }
    return path;
}

/* As libpq has it (fe-secure-openssl.c): root's key may be read by the group as well. */
static bool
is_private(const char *path, struct error *reterr)
{
    struct stat status;
    if (stat(path, &status) != 0 ||
        (status.st_mode & (status.st_uid == 0 ? S_IRWXO | S_IWGRP | S_IXGRP : S_IRWXO | S_IRWXG)) ==
            0) {
        return true;
    }
    return error_set(reterr, ERROR_CONFIG,
                     "cannot use sslkey %s: others may read it, and then libpq does not: chmod "
                     "go-rwx it",
                     path);
}

static bool
are_usable(const struct dsn *dsn, bool key_private, struct error *reterr)
{
    for (size_t i = 0; dsn_file_names[i] != NULL; i++) {
        const char *const name = dsn_file_names[i];
        const char *const path = dsn_file(dsn, name);
        if (path != NULL &&
            (!file_is_usable(name, path, reterr) ||
             (key_private && strcmp(name, "sslkey") == 0 && !is_private(path, reterr)))) {
            return false;
        }
    }
    return true;
}

bool
dsn_files_check(const char *text, struct error *reterr)
{
    struct dsn dsn;
    if (!dsn_parse(text, &dsn, reterr)) {
        return false;
    }
    const bool good = are_usable(&dsn, true, reterr);
    dsn_done(&dsn);
    return good;
}

bool
dsn_mysql_files_check(const struct dsn *dsn, struct error *reterr)
{
    return are_usable(dsn, false, reterr);
}
