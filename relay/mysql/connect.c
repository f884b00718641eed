#include "relay/mysql/connect.h"

#include <errmsg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dsn.h"
#include "base/memory.h"
#include "relay/config/secret.h"
#include "relay/mysql/client.h"
#include "relay/mysql/error.h"

#define CONNECT_TIMEOUT_S 10 /* for one host, if the dsn says nothing else */
#define PORT 3306
#define PROGRAM_NAME "program_name" /* connection attribute; documented for both servers */

/* What one attempt needs. */
struct attempt {
    const struct my_connect *options;
    const struct dsn *dsn;
    const char *password;
    char host[256]; /* empty: the server's socket */
    char socket[256];
    unsigned port;
};

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

int
my_connect_hosts(const char *text)
{
    struct dsn dsn;
    int count = 1;
    if (!dsn_parse(text, &dsn, NULL)) {
        return count;
    }
    const char *const hosts = dsn_value(&dsn, "host");
    for (const char *at = hosts; at != NULL && (at = strchr(at, ',')) != NULL; at++) {
        count++;
    }
    dsn_done(&dsn);
    return count;
}

static void
find_host(struct attempt *attempt, int index)
{
    char host[256];
    char port[16];
    element_of(dsn_value(attempt->dsn, "host"), index, host, sizeof(host));
    element_of(dsn_value(attempt->dsn, "port"), index, port, sizeof(port));
    const bool local = host[0] == '/';
    (void)snprintf(attempt->host, sizeof(attempt->host), "%s", local ? "" : host); /* fit */
    (void)snprintf(attempt->socket, sizeof(attempt->socket), "%s", local ? host : "");
    attempt->port = port[0] != '\0' ? (unsigned)strtoul(port, NULL, 10) : PORT;
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
    const unsigned connect_s = connect_timeout_s(attempt->dsn);
    const unsigned silence_s = attempt->options->silence_s;
    const unsigned protocol =
        attempt->socket[0] != '\0' ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    (void)mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    (void)mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    (void)mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    if (silence_s > 0) {
        (void)mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &silence_s);
        (void)mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &silence_s);
    }
    (void)mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, PROGRAM_NAME, attempt->options->name);
}

static void
set_tls(MYSQL *mysql, const struct attempt *attempt, enum my_tls tls)
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
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && tls != MY_TLS_DISABLE; i++) {
        const char *const path = dsn_file(attempt->dsn, files[i].name);
        if (path != NULL) {
            (void)mysql_options(mysql, files[i].option, path);
        }
    }
    my_client_set_tls(mysql, tls);
}

/* NULL with *reterr, and the number in *ret_code. */
static MYSQL *
connect_with(const struct attempt *attempt, enum my_tls tls, unsigned *ret_code,
             struct error *reterr)
{
    MYSQL *const mysql = mysql_init(NULL);
    if (mysql == NULL) {
        (void)error_set(reterr, ERROR_TRANSIENT, "out of memory"); /* always false */
        return NULL;
    }
    const char *const user = dsn_value(attempt->dsn, "user");
    set_options(mysql, attempt);
    set_tls(mysql, attempt, tls);
    if (mysql_real_connect(mysql, attempt->host[0] != '\0' ? attempt->host : NULL, user,
                           attempt->password, dsn_value(attempt->dsn, "dbname"), attempt->port,
                           attempt->socket[0] != '\0' ? attempt->socket : NULL, 0) != NULL) {
        return mysql;
    }
    *ret_code = mysql_errno(mysql);
    my_error_from_connect(mysql, user != NULL ? user : "",
                          attempt->host[0] != '\0' ? attempt->host : attempt->socket, reterr);
    mysql_close(mysql);
    return NULL;
}

/* The ways to go about TLS, in the order in which they are tried: libpq's words. */
static size_t
tls_ways(const struct attempt *attempt, enum my_tls ret_ways[2])
{
    const char *const mode = dsn_value(attempt->dsn, "sslmode");
    size_t count = 0;
    if (mode == NULL || strcmp(mode, "prefer") == 0) {
        ret_ways[count++] = MY_TLS_REQUIRE;
        ret_ways[count++] = MY_TLS_DISABLE;
    } else if (strcmp(mode, "allow") == 0) {
        ret_ways[count++] = MY_TLS_DISABLE;
        ret_ways[count++] = MY_TLS_REQUIRE;
    } else {
        ret_ways[count++] = strcmp(mode, "disable") == 0     ? MY_TLS_DISABLE
                            : strcmp(mode, "verify-ca") == 0 ? MY_TLS_VERIFY_CA
                            : strcmp(mode, "require") == 0   ? MY_TLS_REQUIRE
                                                             : MY_TLS_VERIFY_FULL;
    }
    return count;
}

static MYSQL *
connect_to(const struct attempt *attempt, struct error *reterr)
{
    enum my_tls ways[2];
    const size_t count = tls_ways(attempt, ways);
    MYSQL *mysql = NULL;
    for (size_t i = 0; i < count && mysql == NULL; i++) {
        unsigned code = 0;
        mysql = connect_with(attempt, ways[i], &code, reterr);
        if (mysql == NULL && !my_error_is_about_tls(code)) {
            break; /* the other way would end the same */
        }
    }
    return mysql;
}

/* A replica. (In MariaDB 12 and newer the variable is a word.) */
static bool
takes_changes(MYSQL *mysql, struct error *reterr)
{
    MYSQL_RES *const rows =
        mysql_query(mysql, "select cast(@@global.read_only as char) in ('0', 'OFF')") == 0
            ? mysql_store_result(mysql)
            : NULL;
    const MYSQL_ROW row = rows != NULL ? mysql_fetch_row(rows) : NULL;
    const bool known = row != NULL && row[0] != NULL;
    const bool takes = known && row[0][0] == '1';
    if (!known) {
        my_error_from_mysql(mysql, reterr);
    } else if (!takes) {
        my_error_set_read_only(reterr);
    }
    mysql_free_result(rows);
    return takes;
}

static MYSQL *
try_host(struct attempt *attempt, int index, struct error *reterr)
{
    find_host(attempt, index);
    MYSQL *const mysql = connect_to(attempt, reterr);
    if (mysql != NULL && attempt->options->writes && !takes_changes(mysql, reterr)) {
        mysql_close(mysql);
        return NULL;
    }
    return mysql;
}

static MYSQL *
try_hosts(struct attempt *attempt, int *ret_host, struct error *reterr)
{
    const struct my_connect *const options = attempt->options;
    const bool one = options->only_host >= 0;
    const int first = one ? options->only_host : 0;
    const int end = one ? first + 1 : my_connect_hosts(options->dsn);
    MYSQL *mysql = NULL;
    for (int i = first; i < end && mysql == NULL; i++) {
        if (options->goes_on != NULL && !options->goes_on(options->context)) {
            break;
        }
        mysql = try_host(attempt, i, reterr);
        *ret_host = i;
    }
    return mysql;
}

MYSQL *
my_connect(const struct my_connect *options, int *ret_host, struct error *reterr)
{
    struct dsn dsn;
    char *password = NULL;
    MYSQL *mysql = NULL;
    my_client_prepare();
    (void)error_set(reterr, ERROR_CONNECTION, "no host was tried"); /* always false */
    /* The files may have changed since the start. */
    if (!dsn_files_check(options->dsn, reterr) || !dsn_parse(options->dsn, &dsn, reterr)) {
        return NULL;
    }
    if (config_secret_read_any(options->password_file, &password, reterr)) {
        struct attempt attempt = {
            .options = options,
            .dsn = &dsn,
            .password = password != NULL ? password : dsn_value(&dsn, "password"),
        };
        mysql = try_hosts(&attempt, ret_host, reterr);
        config_secret_free(password);
    }
    dsn_done(&dsn);
    return mysql;
}
