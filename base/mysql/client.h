/* base/mysql/client.h - where the client libraries differ: MariaDB Connector/C (client_mariadb.c), and Oracle's
 * libmysqlclient (client_mysql.c). One of the two files is built (-Dmysql_client); nothing else depends on which one it is. */
#ifndef BASE_MYSQL_CLIENT_H
#define BASE_MYSQL_CLIENT_H

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

extern const char mysql_client_name[]; /* for people */

/* Whether the connection was made by this client library. The MYSQL of the other library is a different struct, of which this
 * one would read the wrong bytes: such a connection can only be refused. */
bool mysql_client_made(const MYSQL *mysql);

/* What is asked of TLS, by libpq's words for sslmode. */
enum mysql_client_tls {
    MYSQL_CLIENT_TLS_DISABLE,
    MYSQL_CLIENT_TLS_PREFER,      /* if the server has it */
    MYSQL_CLIENT_TLS_REQUIRE,     /* whoever the server is */
    MYSQL_CLIENT_TLS_VERIFY_CA,   /* its certificate is from a known authority, */
    MYSQL_CLIENT_TLS_VERIFY_FULL, /* and for its name */
};

/* Before mysql_real_connect, after the files of certificates are set. */
void mysql_client_set_tls(MYSQL *mysql, enum mysql_client_tls tls);

/* Turns off the library's own reconnecting: a connection that it makes anew in the middle of a transaction has default
 * settings and no transaction. */
void mysql_client_stay_lost(MYSQL *mysql);

/* The number of bytes before the text of a query in its packet, without bound attributes: the server counts them too. */
extern const size_t mysql_client_query_bytes;

/* The descriptor of an open connection, else -1. */
int mysql_client_socket(const MYSQL *mysql);

/* Whether results must be read first. Ask before a query: the query would throw them away, and leave the connection unusable
 * (MariaDB Connector/C 3.3). */
bool mysql_client_is_busy(MYSQL *mysql);

/* Whether an error number is the library's own: no readable answer came from the server. */
bool mysql_client_is_own_error(unsigned number);

/* The server's binary log, as a replica is sent it. */
struct mysql_client_log {
    const char *file;
    uint32_t offset;
    uint32_t server_id;     /* no other replica's */
    size_t event_bytes_max; /* a larger event ends it */
    void *library;          /* its own */
};

/* Asks for the log; *log must not move. From then on the connection can do nothing else. False: mysql_errno says why. */
bool mysql_client_log_begin(MYSQL *mysql, struct mysql_client_log *log);
/* Call it when the connection has ended; it may be called for a log that was never begun. */
void mysql_client_log_done(struct mysql_client_log *log);

/* Waits for the next event, which is good until the next call. False: mysql_errno says why, 0: the server has come to an end. */
bool mysql_client_log_next(MYSQL *mysql, struct mysql_client_log *log, struct span *ret_event);

#endif
