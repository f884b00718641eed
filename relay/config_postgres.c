#include "relay/config_postgres.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/dsn.h"
#include "relay/config_problem.h"
#include "relay/memory.h"

bool
postgres_dsn_check(const char *dsn, struct error *reterr)
{
    if (!dsn_check(dsn, reterr)) {
        return false;
    }
    /* Its message is not taken, since it quotes what stood there. */
    PQconninfoOption *const options = PQconninfoParse(dsn, NULL);
    PQconninfoFree(options);
    return options != NULL ||
           error_set(reterr, ERROR_CONFIG,
                     "the libpq of this machine, version %d, does not know all of its options",
                     PQlibVersion() / 10000);
}

static const char *
option_of(const PQconninfoOption *options, const char *name, const char *otherwise)
{
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, name) == 0 && option->val != NULL) {
            return option->val;
        }
    }
    return otherwise;
}

char *
postgres_dsn_place(const char *dsn)
{
    PQconninfoOption *const options = PQconninfoParse(dsn, NULL);
    if (options == NULL) {
        return NULL;
    }
    char *const place = config_format(
        "%s %s %s %s %s %s", option_of(options, "service", ""), option_of(options, "host", ""),
        option_of(options, "hostaddr", ""), option_of(options, "port", "5432"),
        option_of(options, "dbname", option_of(options, "user", "")),
        option_of(options, "options", ""));
    PQconninfoFree(options);
    return place;
}
