#include "base/mysql/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mysql/client.h"
#include "base/mysql/errors.h"

#define CONNECT_TIMEOUT_S 10 /* for one host, if the dsn says nothing else */
#define PORT 3306
#define HOST_BYTES 256

/* One host, and what is asked of it. */
struct attempt {
    const struct mysql_connect_options *options;
    char host[HOST_BYTES];   /* empty: it is a socket */
    char socket[HOST_BYTES]; /* empty: the library's own, if there is no host */
    unsigned port;
    enum mysql_client_tls tls;
    unsigned number; /* of the error, in the end */
};

int
mysql_connect_hosts(const struct dsn *dsn)
{
    int count = 1;
    const char *at = dsn_value(dsn, "host");
    while (at != NULL && (at = strchr(at, ',')) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* The element of a list with commas between, or its last; empty: the list is. */
static void
element_of(const char *list, int index, char *ret_text, size_t size)
{
    const char *at = list != NULL ? list : "";
    for (int i = 0; i < index && strchr(at, ',') != NULL; i++) {
        at = strchr(at, ',') + 1;
    }
    (void)snprintf(ret_text, size, "%.*s", (int)strcspn(at, ","), at); /* a name is no longer */
}

static void
find_host(struct attempt *attempt, int index)
{
    char host[HOST_BYTES];
    char port[16];
    element_of(dsn_value(attempt->options->dsn, "host"), index, host, sizeof(host));
    element_of(dsn_value(attempt->options->dsn, "port"), index, port, sizeof(port));
    const bool local = host[0] == '/';
    (void)snprintf(attempt->host, sizeof(attempt->host), "%s", local ? "" : host); /* fit */
    (void)snprintf(attempt->socket, sizeof(attempt->socket), "%s", local ? host : "");
    attempt->port = port[0] != '\0' ? (unsigned)strtoul(port, NULL, 10) : PORT;
}

static enum mysql_client_tls
tls_of(const struct dsn *dsn)
{
    static const char *const words[] = {
        [MYSQL_CLIENT_TLS_DISABLE] = "disable",         [MYSQL_CLIENT_TLS_PREFER] = "prefer",
        [MYSQL_CLIENT_TLS_REQUIRE] = "require",         [MYSQL_CLIENT_TLS_VERIFY_CA] = "verify-ca",
        [MYSQL_CLIENT_TLS_VERIFY_FULL] = "verify-full",
    };
    const char *const mode = dsn_value(dsn, "sslmode");
    for (size_t i = 0; mode != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(mode, words[i]) == 0) {
            return (enum mysql_client_tls)i;
        }
    }
    return MYSQL_CLIENT_TLS_PREFER;
}

static unsigned
connect_timeout_s(const struct dsn *dsn)
{
    const char *const value = dsn_value(dsn, "connect_timeout");
    const unsigned long seconds = value != NULL ? strtoul(value, NULL, 10) : 0;
    return seconds > 0 && seconds < 3600 ? (unsigned)seconds : CONNECT_TIMEOUT_S;
}

/* Options fail for want of memory only, and then so does the connection. */
static void
set_options(MYSQL *mysql, const struct attempt *attempt)
{
    const struct mysql_connect_options *const options = attempt->options;
    const unsigned connect_s = connect_timeout_s(options->dsn);
    const unsigned protocol = attempt->host[0] != '\0' ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
    (void)mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    (void)mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    (void)mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    if (options->silence_s > 0) {
        (void)mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &options->silence_s);
        (void)mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &options->silence_s);
    }
    (void)mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", options->program_name);
}

static void
set_tls(MYSQL *mysql, const struct attempt *attempt)
{
    static const struct {
        enum mysql_option option;
        const char *name;
    } files[] = {
        {MYSQL_OPT_SSL_CA, "sslrootcert"},
        {MYSQL_OPT_SSL_CERT, "sslcert"},
        {MYSQL_OPT_SSL_KEY, "sslkey"},
        {MYSQL_OPT_SSL_CRL, "sslcrl"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const char *const path = dsn_file(attempt->options->dsn, files[i].name);
        if (path != NULL && attempt->tls != MYSQL_CLIENT_TLS_DISABLE) {
            (void)mysql_options(mysql, files[i].option, path);
        }
    }
    mysql_client_set_tls(mysql, attempt->tls);
}

static bool
fail(struct attempt *attempt, unsigned number, enum error_class class, const char *words,
     struct error *reterr)
{
    const char *const where = attempt->host[0] != '\0'     ? attempt->host
                              : attempt->socket[0] != '\0' ? attempt->socket
                                                           : "the local socket";
    attempt->number = number;
    return error_set(reterr, class, "connecting to the database at %s: %.*s", where,
                     (int)strcspn(words, "\n"), words);
}

/* Errors that a person must fix before another try makes sense. */
static bool
is_of_configuration(unsigned number)
{
    return number == ER_ACCESS_DENIED_ERROR || number == ER_BAD_DB_ERROR ||
           number == ER_DBACCESS_DENIED_ERROR || number == CR_SSL_CONNECTION_ERROR ||
           number == CR_AUTH_PLUGIN_CANNOT_LOAD;
}

static bool
fail_from(struct attempt *attempt, MYSQL *mysql, struct error *reterr)
{
    char words[300];
    const unsigned number = mysql_errno(mysql);
    (void)snprintf(words, sizeof(words), "%s (%u)", mysql_error(mysql), number); /* cut is fine */
    return fail(attempt, number, is_of_configuration(number) ? ERROR_CONFIG : ERROR_CONNECTION,
                words, reterr);
}

static bool
connect_to(struct attempt *attempt, MYSQL *mysql, struct error *reterr)
{
    const struct dsn *const dsn = attempt->options->dsn;
    const char *const password = attempt->options->password != NULL ? attempt->options->password
                                                                    : dsn_value(dsn, "password");
    set_options(mysql, attempt);
    set_tls(mysql, attempt);
    mysql_client_stay_lost(mysql);
    return mysql_real_connect(mysql, attempt->host[0] != '\0' ? attempt->host : NULL,
                              dsn_value(dsn, "user"), password, dsn_value(dsn, "dbname"),
                              attempt->port, attempt->socket[0] != '\0' ? attempt->socket : NULL,
                              0) != NULL ||
           fail_from(attempt, mysql, reterr);
}

/* A library may connect in clear text to a server that offers nothing else. */
static bool
is_as_private_as_asked(struct attempt *attempt, MYSQL *mysql, struct error *reterr)
{
    return attempt->tls < MYSQL_CLIENT_TLS_REQUIRE || mysql_get_ssl_cipher(mysql) != NULL ||
           fail(attempt, CR_SSL_CONNECTION_ERROR, ERROR_CONFIG,
                "the server has no TLS, and sslmode asks for it", reterr);
}

/* Overrides what the server sets at the start of sessions (init_connect, character_set_client_handshake). */
static bool
speaks_utf8(struct attempt *attempt, MYSQL *mysql, struct error *reterr)
{
    return mysql_set_character_set(mysql, "utf8mb4") == 0 || fail_from(attempt, mysql, reterr);
}

/* A replica, most often. The variable is a word in later versions of MariaDB. */
static bool
takes_changes(struct attempt *attempt, MYSQL *mysql, struct error *reterr)
{
    static const char sql[] = "select cast(@@global.read_only as char) in ('0', 'OFF')";
    if (mysql_query(mysql, sql) != 0) {
        return fail_from(attempt, mysql, reterr);
    }
    MYSQL_RES *const rows = mysql_store_result(mysql);
    const MYSQL_ROW row = rows != NULL ? mysql_fetch_row(rows) : NULL;
    const bool takes = row != NULL && row[0] != NULL && row[0][0] == '1';
    mysql_free_result(rows);
    return takes || fail(attempt, ER_OPTION_PREVENTS_STATEMENT, ERROR_CONNECTION,
                         "it takes no changes: it is a replica, or read_only is on for another "
                         "reason",
                         reterr);
}

static MYSQL *
try_host(struct attempt *attempt, struct error *reterr)
{
    MYSQL *const mysql = mysql_init(NULL);
    if (mysql == NULL) {
        (void)error_set(reterr, ERROR_TRANSIENT, "out of memory"); /* always false */
        return NULL;
    }
    if (connect_to(attempt, mysql, reterr) && is_as_private_as_asked(attempt, mysql, reterr) &&
        speaks_utf8(attempt, mysql, reterr) &&
        (!attempt->options->writes || takes_changes(attempt, mysql, reterr))) {
        return mysql;
    }
    mysql_close(mysql);
    return NULL;
}

MYSQL *
mysql_connect_by_dsn(const struct mysql_connect_options *options, int *ret_host,
                     unsigned *ret_number, struct error *reterr)
{
    const int first = options->only_host >= 0 ? options->only_host : 0;
    const int end = options->only_host >= 0 ? first + 1 : mysql_connect_hosts(options->dsn);
    struct attempt attempt = {.options = options, .tls = tls_of(options->dsn)};
    MYSQL *mysql = NULL;
    (void)error_set(reterr, ERROR_CONNECTION, "no host was tried"); /* always false */
    for (int i = first; i < end && mysql == NULL; i++) {
        if (options->goes_on != NULL && !options->goes_on(options->context)) {
            break;
        }
        find_host(&attempt, i);
        mysql = try_host(&attempt, reterr);
        if (ret_host != NULL) {
            *ret_host = i;
        }
    }
    if (ret_number != NULL) {
        *ret_number = mysql == NULL ? attempt.number : 0;
    }
    return mysql;
}
