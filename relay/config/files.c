#include "relay/config/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "relay/config/problem.h"

/* Some editors write a byte order mark at the start of UTF-8, where it has no meaning. */
static void
blank_mark(char *text)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (strncmp(text, mark, strlen(mark)) == 0) {
        memset(text, ' ', strlen(mark));
    }
}

static bool
read_all(FILE *file, char *buffer, size_t *ret_size, struct error *reterr)
{
    const size_t size = fread(buffer, 1, CONFIG_FILE_MAX_BYTES, file);
    const int failed = ferror(file) != 0 ? errno : 0;
    *ret_size = size;
    buffer[size] = '\0';
    if (failed != 0) {
        return error_set(reterr, ERROR_CONFIG, "cannot be read: %s", strerror(failed));
    }
    if (size == CONFIG_FILE_MAX_BYTES && fgetc(file) != EOF) {
        return error_set(reterr, ERROR_CONFIG, "is over 1 MiB, which is no configuration file");
    }
    if (strlen(buffer) != size) {
        return error_set(reterr, ERROR_CONFIG, "has a zero byte, so it is no text");
    }
    blank_mark(buffer);
    return true;
}

static bool
is_regular(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

bool
config_file_read(const char *path, bool regular, char *buffer, size_t *ret_size,
                 struct error *reterr)
{
    *ret_size = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | (regular ? O_NONBLOCK : 0));
    FILE *const file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL) {
        return error_set(reterr, ERROR_CONFIG, "cannot be opened: %s", strerror(errno));
    }
    const bool good = !regular || is_regular(fd)
                          ? read_all(file, buffer, ret_size, reterr)
                          : error_set(reterr, ERROR_CONFIG, "is no regular file");
    (void)fclose(file); /* was only read */
    return good;
}

static int
is_wanted(const struct dirent *entry)
{
    static const char ending[] = ".conf";
    const size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > strlen(ending) &&
           strcmp(entry->d_name + length - strlen(ending), ending) == 0;
}

/* alphasort(3) would follow the locale. */
static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

bool
config_files_list(const char *directory, struct config_files *ret_files, struct error *reterr)
{
    struct dirent **entries;
    const int count = scandir(directory, &entries, is_wanted, by_bytes);
    *ret_files = (struct config_files){0};
    if (count < 0) {
        return error_set(reterr, ERROR_CONFIG, "cannot be read: %s", strerror(errno));
    }
    ret_files->paths = memory_array((size_t)count + 1, sizeof(*ret_files->paths));
    for (int i = 0; i < count; i++) {
        ret_files->paths[ret_files->count++] =
            config_format("%s/%s", directory, entries[i]->d_name);
        free(entries[i]);
    }
    free((void *)entries);
    return ret_files->count <= CONFIG_FILES_MAX ||
           error_set(reterr, ERROR_CONFIG, "has over %d files", CONFIG_FILES_MAX);
}

void
config_files_done(struct config_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        memory_free(files->paths[i]);
    }
    memory_free(files->paths);
}

bool
config_file_same(const char *path, const char *other)
{
    struct stat a;
    struct stat b;
    return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

char *
config_file_directory(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash == NULL ? memory_string(".") : config_format("%.*s", (int)(slash - path), path);
}
