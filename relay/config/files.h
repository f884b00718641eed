/* relay/config/files.h - the files of a configuration: their text, and the list of those in a directory. */
#ifndef RELAY_CONFIG_FILES_H
#define RELAY_CONFIG_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define CONFIG_FILE_MAX_BYTES ((size_t)1024 * 1024)
/* The largest file, its end, and the byte that config_scan_text may add. */
#define CONFIG_FILE_BUFFER_BYTES (CONFIG_FILE_MAX_BYTES + 2)
#define CONFIG_FILES_MAX 10000

/* Reads the whole file into `buffer` of CONFIG_FILE_BUFFER_BYTES, zero-terminated; *ret_size: its bytes, which the
 * caller wipes when they are read, as they may be secrets. `regular`: anything else, such as a pipe that might have no
 * writer, is refused. False with *reterr: "cannot be opened: No such file or directory". */
bool config_file_read(const char *path, bool regular, char *buffer, size_t *ret_size,
                      struct error *reterr) MUST_CHECK;

/* The files of a directory that end in ".conf", but for hidden ones, in the order of the bytes of their names. */
struct config_files {
    char **paths;
    size_t count;
};
bool config_files_list(const char *directory, struct config_files *ret_files,
                       struct error *reterr) MUST_CHECK;
void config_files_done(struct config_files *files);

/* True if both lead to the same file. */
bool config_file_same(const char *path, const char *other);

/* The directory of the file: what relative names in it are looked for in. For config_path; memory_free. */
char *config_file_directory(const char *path);

#endif
