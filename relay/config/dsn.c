#include "relay/config/dsn.h"

#include <string.h>

#include "base/memory.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"
#include "relay/ports/database.h"

char *
config_dsn_anchor(const char *text, const struct dsn *dsn, const char *directory)
{
    char *anchored = memory_string(text);
    for (size_t i = 0; dsn_file_names[i] != NULL; i++) {
        const char *const path = dsn_file(dsn, dsn_file_names[i]);
        if (path != NULL && path[0] != '/') {
            char *const full = config_path(path, directory);
            char *const longer = dsn_with(dsn->dialect, anchored, dsn_file_names[i], full);
            memory_free(full);
            config_secret_free(anchored);
            anchored = longer;
        }
    }
    return anchored;
}

char *
config_dsn_discover(const char *text, const struct dsn *dsn, const char *database)
{
    const char *const own = dsn_value(dsn, "dbname");
    return own != NULL && strstr(own, DATABASE_TENANT) != NULL
               ? dsn_with(dsn->dialect, text, "dbname", database)
               : memory_string(text);
}
