#include "base/mysql/client.h"

#include <errmsg.h>
#include <mariadb_rpl.h> /* needs what mysql.h has */
#include <string.h>

const char mysql_client_name[] = "MariaDB Connector/C";
const size_t mysql_client_query_bytes = 1; /* the command */

/* The library (3.3) has two switches. "Enforce" does not enforce: with a server without TLS the library talks in clear text,
 * so base/mysql/connect.c checks the connection itself. Verifying is all or nothing: if the host's name is not in the
 * certificate, "verify-ca" fails here, where libpq would connect. */
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

/* The library's own reader of events (mariadb_rpl_fetch) ends at events that it does not know, such as MySQL's event 40. So
 * the library only starts the stream, and the packets are read directly. */
bool
mysql_client_log_begin(MYSQL *mysql, struct mysql_client_log *log)
{
    MARIADB_RPL *const rpl = mariadb_rpl_init(mysql);
    log->library = NULL;
    if (rpl == NULL) {
        return false;
    }
    mysql->net.max_packet_size = log->event_bytes_max;
    /* They fail for options that are not known. */
    (void)mariadb_rpl_optionsv(rpl, MARIADB_RPL_FILENAME, log->file, strlen(log->file));
    (void)mariadb_rpl_optionsv(rpl, MARIADB_RPL_START, (unsigned long)log->offset);
    (void)mariadb_rpl_optionsv(rpl, MARIADB_RPL_SERVER_ID, log->server_id);
    const bool begun = mariadb_rpl_open(rpl) == 0;
    mariadb_rpl_close(rpl); /* of no use any more */
    return begun;
}

void
mysql_client_log_done(struct mysql_client_log *log)
{
    (void)log; /* nothing was kept */
}

/* A packet is a mark and, unless it is the last one, an event. */
bool
mysql_client_log_next(MYSQL *mysql, struct mysql_client_log *log, struct span *ret_event)
{
    (void)log;
    const unsigned long size = mysql_net_read_packet(mysql);
    if (size == packet_error || size == 0 || mysql->net.read_pos[0] != 0) {
        return false;
    }
    *ret_event = (struct span){mysql->net.read_pos + 1, size - 1};
    return true;
}
