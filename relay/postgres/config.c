#include "relay/postgres/config.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/dsn.h"
#include "base/memory.h"
#include "base/net/tls.h"
#include "relay/config/problem.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"

/* The bytes that libpq has decrypted and not handed over are to be seen by nobody: neither poll(2) nor a function of
 * libpq tells of them (fe-secure-gssapi.c, versions 14 to 18). */
static bool
check_encryption(const char *dsn, struct error *reterr)
{
    struct dsn parsed;
    if (!dsn_parse(dsn, &parsed, reterr)) {
        return false;
    }
    const char *mode = dsn_value(&parsed, "gssencmode");
    const bool wanted = mode != NULL && strcmp(mode, "require") == 0;
    dsn_done(&parsed);
    return !wanted || error_set(reterr, ERROR_CONFIG,
                                "gssencmode=require: the relay uses no encryption by GSSAPI; use "
                                "TLS (sslmode), logging in by GSSAPI works with it");
}

bool
postgres_dsn_check(const char *dsn, struct error *reterr)
{
    if (!check_encryption(dsn, reterr)) {
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

char *
postgres_dsn_anchor(const char *dsn, const char *directory)
{
    struct dsn parsed;
    char *anchored = memory_string(dsn);
    if (!dsn_parse(dsn, &parsed, NULL)) {
        return anchored; /* out of memory: the caller will meet it again */
    }
    for (size_t i = 0; dsn_file_names[i] != NULL; i++) {
        const char *const path = dsn_file(&parsed, dsn_file_names[i]);
        if (path != NULL && path[0] != '/') {
            char *const full = config_path(path, directory);
            char *const longer = dsn_with(anchored, dsn_file_names[i], full);
            memory_free(full);
            config_secret_free(anchored);
            anchored = longer;
        }
    }
    dsn_done(&parsed);
    return anchored;
}

/* A key with a password of its own is left to libpq. */
bool
postgres_files_check(const char *dsn, struct error *reterr)
{
    struct dsn parsed;
    if (!dsn_files_check(dsn, reterr) || !dsn_parse(dsn, &parsed, reterr)) {
        return false;
    }
    const bool locked = dsn_value(&parsed, "sslpassword") != NULL;
    const struct tls_files files = {
        "sslrootcert", dsn_file(&parsed, "sslrootcert"),
        "sslcert",     dsn_file(&parsed, "sslcert"),
        "sslkey",      locked ? NULL : dsn_file(&parsed, "sslkey"),
    };
    const bool good = tls_files_check(&files, reterr);
    dsn_done(&parsed);
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
