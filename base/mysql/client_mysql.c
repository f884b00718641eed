#include <errmsg.h>
#include <stddef.h>

#include "base/mysql/client.h"

const char mysql_client_name[] = "libmysqlclient";

void
mysql_client_set_tls(MYSQL *mysql, enum mysql_client_tls tls)
{
    static const unsigned modes[] = {
        [MYSQL_CLIENT_TLS_DISABLE] = SSL_MODE_DISABLED,
        [MYSQL_CLIENT_TLS_PREFER] = SSL_MODE_PREFERRED,
        [MYSQL_CLIENT_TLS_REQUIRE] = SSL_MODE_REQUIRED,
        [MYSQL_CLIENT_TLS_VERIFY_CA] = SSL_MODE_VERIFY_CA,
        [MYSQL_CLIENT_TLS_VERIFY_FULL] = SSL_MODE_VERIFY_IDENTITY,
    };
    /* Connector/C does so unasked: without TLS the password goes encrypted by the server's key (caching_sha2_password). */
    const bool key = tls <= MYSQL_CLIENT_TLS_PREFER;
    /* They fail for want of memory only, and then so does the connection. */
    (void)mysql_options(mysql, MYSQL_OPT_SSL_MODE, &modes[tls]);
    (void)mysql_options(mysql, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &key);
}

/* To set the option, or to ask for it, prints a warning on stderr (8.0.34 and newer). */
void
mysql_client_stay_lost(MYSQL *mysql)
{
    mysql->reconnect = false;
}

int
mysql_client_socket(const MYSQL *mysql)
{
    return mysql->net.vio != NULL ? (int)mysql->net.fd : -1;
}

bool
mysql_client_is_busy(MYSQL *mysql)
{
    return mysql->status != MYSQL_STATUS_READY || mysql_more_results(mysql);
}

bool
mysql_client_is_own_error(unsigned number)
{
    return number >= CR_MIN_ERROR && number <= CR_MAX_ERROR;
}
