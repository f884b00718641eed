/* base/mysql/client.h - where the client libraries differ: MariaDB Connector/C (client_mariadb.c), and Oracle's
 * libmysqlclient (client_mysql.c). One of the two files is built (-Dmysql_client); nothing else depends on which one it is. */
#ifndef BASE_MYSQL_CLIENT_H
#define BASE_MYSQL_CLIENT_H

#include <mysql.h>
#include <stdbool.h>

extern const char mysql_client_name[]; /* for people */

/* Whether the connection is of that library. Another's MYSQL is another struct, of which this one reads the wrong bytes: it can be
 * refused, and nothing else may be done with it. */
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

/* A lost connection stays lost: one that the library makes anew by itself, in the middle of a transaction, has settings of its
 * own and no transaction. */
void mysql_client_stay_lost(MYSQL *mysql);

/* The descriptor of a connection that is there; -1: it is not. */
int mysql_client_socket(const MYSQL *mysql);

/* Whether results are to be read first. Asked before a query, which would throw them away, and leave the connection unusable
 * (MariaDB Connector/C 3.3). */
bool mysql_client_is_busy(MYSQL *mysql);

/* Whether an error number is the library's own: nothing came from the server, or nothing that could be read. */
bool mysql_client_is_own_error(unsigned number);

#endif
