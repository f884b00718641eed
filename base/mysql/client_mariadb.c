#include <errmsg.h>
#include <stddef.h>

#include "base/mysql/client.h"

const char mysql_client_name[] = "MariaDB Connector/C";

/* The library (3.3) has two switches. "Enforce" is only a wish: a server without TLS is talked to in clear text, so
 * base/mysql/connect.c looks at the connection that there is. Verifying is all or nothing: with a name that is another than the certificate's
 * "verify-ca" is refused here, where libpq would connect. */
void
mysql_client_set_tls(MYSQL *mysql, enum mysql_client_tls tls)
{
    const my_bool wanted = tls != MYSQL_CLIENT_TLS_DISABLE;
    const my_bool verified = tls >= MYSQL_CLIENT_TLS_VERIFY_CA;
    /* They fail for want of memory only, and then so does the connection. */
    (void)mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &wanted);
    (void)mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verified);
}

void
mysql_client_stay_lost(MYSQL *mysql)
{
    const my_bool off = 0;
    (void)mysql_optionsv(mysql, MYSQL_OPT_RECONNECT, &off); /* cannot fail */
}

int
mysql_client_socket(const MYSQL *mysql)
{
    return mysql->net.pvio != NULL ? (int)mysql->net.fd : -1;
}

bool
mysql_client_is_busy(MYSQL *mysql)
{
    return mysql->status != MYSQL_STATUS_READY || mysql_more_results(mysql);
}

bool
mysql_client_is_own_error(unsigned number)
{
    return IS_MYSQL_ERROR(number) || IS_MARIADB_ERROR(number);
}
