/* base/file.h - files that somebody names in a configuration, looked at before a library opens them. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>

#include "base/error.h"

/* True if `path` can be opened for reading and is a regular file. Else ERROR_CONFIG: "cannot use NAME PATH: reason". A
 * library would wait for ever for the writer of a pipe; this never waits. */
bool file_is_usable(const char *name, const char *path, struct error *reterr) MUST_CHECK;

/* May everybody on this machine read it? False if it is not there. */
bool file_is_public(const char *path);

#endif
