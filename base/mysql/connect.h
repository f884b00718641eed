/* base/mysql/connect.h - a connection to the MariaDB or MySQL server that a connection string names (base/dsn.h). It blocks,
 * so call it on a thread that may block. */
#ifndef BASE_MYSQL_CONNECT_H
#define BASE_MYSQL_CONNECT_H

#include <mysql.h>

#include "base/dsn.h"
#include "base/error.h"

struct mysql_connect_options {
    const struct dsn *dsn; /* read by dsn_mysql_parse */
    const char *password;  /* instead of the dsn's; NULL: the dsn's */
    /* What the server is told to call the session (a connection attribute). */
    const char *program_name;
    /* A call fails when nothing comes from the server for so long; 0: it waits. */
    unsigned silence_s;
    bool writes;                    /* a server that takes no changes (read_only) will not do */
    int only_host;                  /* of the dsn's hosts, counted from 0; -1: all in turn */
    bool (*goes_on)(void *context); /* before each host; false: it is given up; NULL: it is not */
    void *context;
};

/* How many hosts the dsn names; one if it names none. */
int mysql_connect_hosts(const struct dsn *dsn);

/* Connects to the first usable host, within 10 s for each unless the dsn says otherwise. The session is in utf8mb4 and has the
 * server's defaults otherwise; the library does not reconnect by itself. A host that is a path is a socket; any other is
 * reached by
 * TCP, "localhost" too; none is the library's own socket. To be ended by mysql_close. NULL: *reterr has the words about the last
 * host (ERROR_CONNECTION; ERROR_CONFIG where somebody must mend something), and *ret_number the number of the error, or 0. Both
 * numbers may be NULL. */
MYSQL *mysql_connect_by_dsn(const struct mysql_connect_options *options, int *ret_host,
                            unsigned *ret_number, struct error *reterr);

#endif
