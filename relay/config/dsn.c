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

/* Of the template's dsn, whose parsed form is `dsn`. */
static char *
without_tenant(const char *text, const struct dsn *dsn, const char *database)
{
    const char *const own = dsn_value(dsn, "dbname");
    return own != NULL && strstr(own, DATABASE_TENANT) != NULL
               ? dsn_with(dsn->dialect, text, "dbname", database)
               : memory_string(text);
}

char *
config_dsn_discover(const struct source_config *template,
                    bool (*parse)(const char *text, struct dsn *ret_dsn, struct error *reterr),
                    const char *database, struct error *reterr)
{
    struct dsn parsed;
    if (template->discover_dsn != NULL) {
        return memory_string(template->discover_dsn);
    }
    if (!parse(template->dsn, &parsed, reterr)) {
        return NULL;
    }
    char *const dsn = without_tenant(template->dsn, &parsed, database);
    dsn_done(&parsed);
    if (dsn == NULL) {
        (void)error_set(reterr, ERROR_TRANSIENT, "out of memory"); /* always false */
    }
    return dsn;
}
