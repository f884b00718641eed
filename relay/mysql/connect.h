/* relay/mysql/connect.h - a session with the server that a dsn names; waits for it, so on a thread that may. */
#ifndef RELAY_MYSQL_CONNECT_H
#define RELAY_MYSQL_CONNECT_H

#include <mysql.h>
#include <stdint.h>

#include "base/error.h"

struct my_connect {
    const char *dsn;           /* libpq's words: host, port, dbname, user, password, sslmode, … */
    const char *password_file; /* read for each attempt; NULL: the dsn's password */
    const char *name;          /* what the server is told to call the session (program_name) */
    unsigned
        silence_s; /* a call fails when nothing comes from the server for so long; 0: it waits */
    bool writes;   /* a server that takes no changes will not do */
    int only_host; /* of the dsn's hosts, counted from 0; -1: all in turn */
    bool (*goes_on)(
        void *context); /* called before each host; false: it is given up; NULL: it is not */
    void *context;
};

/* How many hosts a dsn names; one if it names none. */
int my_connect_hosts(const char *dsn);

/* Connects to one of them, which is *ret_host; in utf8mb4, with all else as the server has it. NULL with the last host's
 * trouble in *reterr. Its thread calls my_client_thread_end at its end. */
MYSQL *my_connect(const struct my_connect *options, int *ret_host, struct error *reterr);

#endif
