#include "relay/config_postgres.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/text.h"
#include "relay/config_problem.h"
#include "relay/memory.h"

/* libpq's message names the option it does not know, but for other slips it quotes whatever stood
 * there, which may be half a password. So only a name that is nearly one of libpq's own is taken
 * from it. */
static const char *
nearest_option(const char *message)
{
    const char *const quote = strchr(message, '"');
    const size_t size = quote == NULL ? 0 : strcspn(quote + 1, "\"");
    char word[64];
    if (size == 0 || size >= sizeof(word)) {
        return NULL;
    }
    memcpy(word, quote + 1, size);
    word[size] = '\0';
    static const char *const names[] = {
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "passfile",
        "options",
        "service",
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "application_name",
        "krbsrvname",
        "connect_timeout",
        "keepalives",
        "target_session_attrs",
        "channel_binding",
    };
    const char *const nearest = text_nearest(word, names, sizeof(names) / sizeof(names[0]));
    return nearest != NULL && strcmp(nearest, word) != 0 ? nearest : NULL;
}

static bool
refuse(const char *message, struct error *reterr)
{
    const char *const nearest = message == NULL ? NULL : nearest_option(message);
    if (nearest != NULL) {
        return error_set(reterr, ERROR_CONFIG,
                         "libpq knows no such connection option; did you mean \"%s\"?", nearest);
    }
    return error_set(reterr, ERROR_CONFIG,
                     "expected a libpq connection string: \"host=db dbname=shop user=relay\", "
                     "values with blanks in single quotes, or \"postgresql://relay@db/shop\"");
}

bool
postgres_dsn_check(const char *dsn, struct error *reterr)
{
    char *message = NULL;
    PQconninfoOption *const options = PQconninfoParse(dsn, &message);
    const bool good = options != NULL || refuse(message, reterr);
    PQconninfoFree(options);
    PQfreemem(message);
    return good;
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
