/* relay/mysql/client.h - where the client libraries differ: MariaDB Connector/C, and Oracle's libmysqlclient. Nothing else here
 * depends on which one it is. */
#ifndef RELAY_MYSQL_CLIENT_H
#define RELAY_MYSQL_CLIENT_H

#include <mysql.h>
#include <stdbool.h>

/* What is asked of TLS, by libpq's words for sslmode. */
enum my_tls {
    MY_TLS_DISABLE,
    MY_TLS_REQUIRE,     /* whoever the server is */
    MY_TLS_VERIFY_CA,   /* its certificate is from a known authority, */
    MY_TLS_VERIFY_FULL, /* and for its name */
};

/* Once in the process, before the first of its threads uses the library; any thread, any number of times. */
void my_client_prepare(void);
/* At the end of each thread that has used it. */
void my_client_thread_end(void);

void my_client_set_tls(MYSQL *mysql, enum my_tls tls);

/* Of a session that is connected. */
int my_client_socket(MYSQL *mysql);

/* Whether the number is the library's own: the connection cannot be used any more. */
bool my_client_is_own_error(unsigned code);

#endif
