/* base/file.h - files named in a configuration, checked before a library opens them. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>

#include "base/error.h"

/* True if `path` can be opened for reading and is a regular file. Else ERROR_CONFIG: "cannot use NAME PATH: reason". Never
 * waits; a library would wait for ever for the writer of a pipe. */
bool file_is_usable(const char *name, const char *path, struct error *reterr) MUST_CHECK;

/* May everybody on this machine read it? False if it is not there. */
bool file_is_public(const char *path);

#endif
