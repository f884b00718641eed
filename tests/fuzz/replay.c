/* Without libFuzzer: gives a fuzz target each file of the given directories. Fails if there is none. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX (64 * 1024)

static int
fail(const char *what)
{
    perror(what);
    return -1;
}

/* Returns 0, or -1 after an error. */
static int
replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return fail(path);
    }
    uint8_t *const bytes = malloc(INPUT_BYTES_MAX);
    const size_t size = bytes != NULL ? fread(bytes, 1, INPUT_BYTES_MAX, file) : 0;
    const int result =
        bytes == NULL || ferror(file) ? fail(path) : LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    (void)fclose(file); /* was only read */
    return result;
}

/* Returns the number of files, or -1 after an error. */
static int
replay_directory(const char *path)
{
    struct dirent **entries;
    const int count = scandir(path, &entries, NULL, alphasort);
    int files = count < 0 ? fail(path) : 0;
    for (int i = 0; i < count; i++) {
        char name[4096];
        const int length = snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (files >= 0 && entries[i]->d_name[0] != '.') {
            files = (size_t)length < sizeof(name) && replay_file(name) == 0 ? files + 1 : -1;
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    return files;
}

int
main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc && files >= 0; i++) {
        const int found = replay_directory(argv[i]);
        files = found < 0 ? -1 : files + found;
    }
    printf("%d inputs\n", files);
    return files > 0 ? 0 : 1;
}
