#include "relay/mysql/config.h"

#include <string.h>

#include "base/net/local.h"
#include "base/net/tls.h"
#include "relay/config/dsn.h"
#include "relay/config/problem.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"

static size_t
length_of(const char *list)
{
    size_t length = 1;
    for (const char *at = list; at != NULL && (at = strchr(at, ',')) != NULL; at++) {
        length++;
    }
    return length;
}

/* Errors that the client library or the server would find only when the relay connects. */
static bool
check(const struct dsn *dsn, struct error *reterr)
{
    const size_t ports = length_of(dsn_value(dsn, "port"));
    const size_t hosts = length_of(dsn_value(dsn, "host"));
    if (dsn_value(dsn, "dbname") == NULL) {
        return error_set(reterr, ERROR_CONFIG, "dbname is missing: the database of the outbox");
    }
    return ports == 1 || ports == hosts ||
           error_set(reterr, ERROR_CONFIG,
                     "there are %zu ports and %zu hosts: name one port for all hosts, or one for "
                     "each",
                     ports, hosts);
}

static bool
check_files(const struct dsn *dsn, struct error *reterr)
{
    const struct tls_files files = {
        .ca_name = "sslrootcert",
        .ca = dsn_file(dsn, "sslrootcert"),
        .cert_name = "sslcert",
        .cert = dsn_file(dsn, "sslcert"),
        .key_name = "sslkey",
        .key = dsn_file(dsn, "sslkey"),
    };
    return dsn_mysql_files_check(dsn, reterr) && tls_files_check(&files, reterr);
}

static bool
take(const char *text, const struct dsn *parsed, const char *directory, char **ret_dsn,
     struct error *reterr)
{
    struct dsn anchored;
    if (!check(parsed, reterr)) {
        return false;
    }
    char *const dsn = config_dsn_anchor(text, parsed, directory);
    bool good = dsn_mysql_parse(dsn, &anchored, reterr);
    if (good) {
        good = check_files(&anchored, reterr);
        dsn_done(&anchored);
    }
    if (!good) {
        config_secret_free(dsn);
        return false;
    }
    *ret_dsn = dsn;
    return true;
}

bool
my_dsn_take(const char *text, const char *directory, char **ret_dsn, struct error *reterr)
{
    struct dsn parsed;
    if (!dsn_mysql_parse(text, &parsed, reterr)) {
        return false;
    }
    const bool good = take(text, &parsed, directory, ret_dsn, reterr);
    dsn_done(&parsed);
    return good;
}

static const char *
value_or(const struct dsn *dsn, const char *name, const char *otherwise)
{
    const char *const value = dsn_value(dsn, name);
    return value != NULL ? value : otherwise;
}

char *
my_dsn_place(const char *text)
{
    struct dsn dsn;
    if (!dsn_mysql_parse(text, &dsn, NULL)) {
        return NULL;
    }
    char *const place = config_format("%s %s %s", value_or(&dsn, "host", ""),
                                      value_or(&dsn, "port", "3306"), value_or(&dsn, "dbname", ""));
    dsn_done(&dsn);
    return place;
}

char *
my_dsn_server(const char *text)
{
    struct dsn dsn;
    if (!dsn_mysql_parse(text, &dsn, NULL)) {
        return NULL;
    }
    char *const server =
        config_format("%s %s", value_or(&dsn, "host", ""), value_or(&dsn, "port", "3306"));
    dsn_done(&dsn);
    return server;
}

static void
check_verification(const char *name, const struct dsn *dsn, struct config_warnings *warnings,
                   struct config_warnings *advice)
{
    const char *const given = dsn_value(dsn, "sslmode");
    const char *const mode = given == NULL ? "prefer" : given;
    const bool verifies = strncmp(mode, "verify-", strlen("verify-")) == 0;
    const bool encrypts = verifies || strcmp(mode, "require") == 0;
    char host[LOCAL_HOST_BYTES];
    if (dsn_value(dsn, "sslrootcert") != NULL && !verifies) {
        config_warn(warnings,
                    "source \"%s\": sslrootcert with sslmode=%s%s: nobody looks at the server's "
                    "certificate, anybody on the way can pretend to be the database; use "
                    "sslmode=verify-full",
                    name, mode, given == NULL ? " (which nobody set)" : "");
    } else if (verifies || !local_find_remote(dsn_value(dsn, "host"), host)) {
        return;
    } else if (!encrypts) {
        config_warn(advice,
                    "source \"%s\": sslmode=%s%s to %s, which is not this machine: who is on the "
                    "way can make it plain text, and read and change all; use sslmode=verify-full "
                    "and sslrootcert",
                    name, mode, given == NULL ? " (the default)" : "", host);
    } else {
        config_warn(advice,
                    "source \"%s\": sslmode=require verifies nobody: anybody on the way to %s can "
                    "pretend to be the database; use sslmode=verify-full and sslrootcert",
                    name, host);
    }
}

void
my_dsn_advise(const struct source_config *source, struct config_warnings *warnings,
              struct config_warnings *advice)
{
    struct dsn dsn;
    if (!dsn_mysql_parse(source->dsn, &dsn, NULL)) {
        return; /* out of memory: connecting will report it */
    }
    const char *const key = dsn_file(&dsn, "sslkey");
    check_verification(source->name, &dsn, warnings, advice);
    if (key != NULL) {
        config_secret_warn(key, "the key file", warnings);
    }
    dsn_done(&dsn);
}

bool
my_dsn_has_password(const char *text)
{
    struct dsn dsn;
    if (!dsn_mysql_parse(text, &dsn, NULL)) {
        return false; /* as above */
    }
    const bool has = dsn_value(&dsn, "password") != NULL;
    dsn_done(&dsn);
    return has;
}

const struct database_key my_keys[] = {{NULL, NULL}};
