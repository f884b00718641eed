#include "relay/postgres/config.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/dsn.h"
#include "base/net/local.h"
#include "base/net/tls.h"
#include "relay/config/dsn.h"
#include "relay/config/problem.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"
#include "relay/postgres/names.h"

/* Nothing shows that libpq holds decrypted bytes that it has not handed over: neither poll(2) nor a function of libpq
 * (fe-secure-gssapi.c, versions 14 to 18). */
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

static bool
check(const char *dsn, struct error *reterr)
{
    if (!check_encryption(dsn, reterr)) {
        return false;
    }
    /* libpq's message is not used, because it quotes the text. */
    PQconninfoOption *const options = PQconninfoParse(dsn, NULL);
    PQconninfoFree(options);
    return options != NULL || error_set(reterr, ERROR_CONFIG,
                                        "it has an option that libpq %d on this machine does not "
                                        "know: leave the option out, or install a newer libpq",
                                        PQlibVersion() / 10000);
}

/* A private key with a password is left to libpq. */
static bool
check_files(const char *text, const struct dsn *dsn, struct error *reterr)
{
    const bool locked = dsn_value(dsn, "sslpassword") != NULL;
    const struct tls_files files = {
        .ca_name = "sslrootcert",
        .ca = dsn_file(dsn, "sslrootcert"),
        .cert_name = "sslcert",
        .cert = dsn_file(dsn, "sslcert"),
        .key_name = "sslkey",
        .key = locked ? NULL : dsn_file(dsn, "sslkey"),
    };
    return dsn_files_check(text, reterr) && tls_files_check(&files, reterr);
}

bool
postgres_dsn_take(const char *text, const char *directory, char **ret_dsn, struct error *reterr)
{
    struct dsn parsed;
    struct dsn anchored;
    if (!check(text, reterr) || !dsn_parse(text, &parsed, reterr)) {
        return false;
    }
    char *const dsn = config_dsn_anchor(text, &parsed, directory);
    dsn_done(&parsed);
    bool good = dsn_parse(dsn, &anchored, reterr);
    if (good) {
        good = check_files(dsn, &anchored, reterr);
        dsn_done(&anchored);
    }
    if (!good) {
        config_secret_free(dsn);
        return false;
    }
    *ret_dsn = dsn;
    return true;
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

char *
postgres_dsn_server(const char *dsn)
{
    PQconninfoOption *const options = PQconninfoParse(dsn, NULL);
    if (options == NULL) {
        return NULL;
    }
    char *const server = config_format(
        "%s %s %s %s", option_of(options, "service", ""), option_of(options, "host", ""),
        option_of(options, "hostaddr", ""), option_of(options, "port", "5432"));
    PQconninfoFree(options);
    return server;
}

/* As in libpq: from the dsn, else from the environment. */
static const char *
value_or(const struct dsn *dsn, const char *name, const char *variable)
{
    const char *const value = dsn_value(dsn, name);
    return value != NULL ? value : getenv(variable);
}

static void
check_verification(const char *name, const struct dsn *dsn, struct config_warnings *warnings,
                   struct config_warnings *advice)
{
    const char *const given = value_or(dsn, "sslmode", "PGSSLMODE");
    const char *const mode = given == NULL ? "prefer" : given;
    const char *const address = value_or(dsn, "hostaddr", "PGHOSTADDR");
    const bool verifies = strncmp(mode, "verify-", strlen("verify-")) == 0;
    const bool encrypts = verifies || strcmp(mode, "require") == 0;
    const bool has_root = value_or(dsn, "sslrootcert", "PGSSLROOTCERT") != NULL;
    char host[LOCAL_HOST_BYTES];
    if (has_root && !encrypts) {
        config_warn(warnings,
                    "source \"%s\": sslrootcert with sslmode=%s%s: when the certificate is not "
                    "good, libpq goes on in plain text, the password included; use "
                    "sslmode=verify-full",
                    name, mode, given == NULL ? " (which nobody set)" : "");
    } else if (!local_find_remote(address != NULL ? address : value_or(dsn, "host", "PGHOST"),
                                  host)) {
        return;
    } else if (!encrypts) {
        config_warn(advice,
                    "source \"%s\": sslmode=%s%s to %s, which is not this machine: who is on the "
                    "way can make it plain text, and read and change all; use sslmode=verify-full "
                    "and sslrootcert",
                    name, mode, given == NULL ? " (libpq's default)" : "", host);
    } else if (!verifies && !has_root) {
        config_warn(advice,
                    "source \"%s\": sslmode=require verifies nobody: anybody on the way to %s can "
                    "pretend to be the database; use sslmode=verify-full and sslrootcert",
                    name, host);
    }
}

void
postgres_dsn_advise(const struct source_config *source, struct config_warnings *warnings,
                    struct config_warnings *advice)
{
    struct dsn dsn;
    if (!dsn_parse(source->dsn, &dsn, NULL)) {
        return; /* out of memory: connecting will report it */
    }
    if (dsn_value(&dsn, "service") == NULL) { /* only libpq knows the settings of a service */
        check_verification(source->name, &dsn, warnings, advice);
    }
    const char *const key = dsn_file(&dsn, "sslkey");
    if (key != NULL) {
        config_secret_warn(key, "the key file", warnings);
    }
    dsn_done(&dsn);
}

bool
postgres_dsn_has_password(const char *text)
{
    struct dsn dsn;
    if (!dsn_parse(text, &dsn, NULL)) {
        return false; /* as above */
    }
    const bool has = dsn_value(&dsn, "password") != NULL || dsn_value(&dsn, "sslpassword") != NULL;
    dsn_done(&dsn);
    return has;
}

const struct database_key postgres_keys[] = {
    {"slot", postgres_slot_check},
    {"publication", postgres_publication_check},
    {"tableless", NULL},
    {"tableless_old_prefix", NULL},
    {"wal_retain_max", NULL},
    {"heartbeat_interval", NULL},
    {NULL, NULL},
};

bool
postgres_keys_check(const struct source_config *source, const char **ret_key, struct error *reterr)
{
    if (source->tableless && source->mode != SOURCE_MODE_TAIL) {
        *ret_key = "tableless";
        return error_set(reterr, ERROR_CONFIG,
                         "tableless = true needs mode = \"tail\": what is in the log alone is not "
                         "found by polling");
    }
    if (source->tableless_old_prefix && !source->tableless) {
        *ret_key = "tableless_old_prefix";
        return error_set(reterr, ERROR_CONFIG,
                         "tableless_old_prefix = true needs tableless = true");
    }
    return true;
}
