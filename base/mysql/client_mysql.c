#include <errmsg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mysql/client.h"

const char mysql_client_name[] = "libmysqlclient";
/* The command, no attributes, in one set of them (8.0.23 and newer). */
const size_t mysql_client_query_bytes = 3;

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
    /* Connector/C does this by default: without TLS the password is encrypted with the server's key (caching_sha2_password). */
    const bool key = tls <= MYSQL_CLIENT_TLS_PREFER;
    /* They fail for want of memory only, and then so does the connection. */
    (void)mysql_options(mysql, MYSQL_OPT_SSL_MODE, &modes[tls]);
    (void)mysql_options(mysql, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &key);
}

/* Setting or reading this option prints a warning on stderr (8.0.34 and newer). */
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

static MYSQL_RPL *
rpl_of(const struct mysql_client_log *log)
{
    return log->library;
}

bool
mysql_client_log_begin(MYSQL *mysql, struct mysql_client_log *log)
{
    MYSQL_RPL *const rpl = calloc(1, sizeof(*rpl));
    log->library = rpl;
    if (rpl == NULL) {
        return false;
    }
    mysql->net.max_packet_size = log->event_bytes_max;
    rpl->file_name = log->file;
    rpl->file_name_length = strlen(log->file);
    rpl->start_position = log->offset;
    rpl->server_id = log->server_id;
    return mysql_binlog_open(mysql, rpl) == 0;
}

void
mysql_client_log_done(struct mysql_client_log *log)
{
    free(log->library); /* what else there is ends with the connection */
    log->library = NULL;
}

/* A packet is a mark and, unless it is the last one, an event. */
bool
mysql_client_log_next(MYSQL *mysql, struct mysql_client_log *log, struct span *ret_event)
{
    MYSQL_RPL *const rpl = rpl_of(log);
    if (mysql_binlog_fetch(mysql, rpl) != 0 || rpl->size == 0) {
        return false;
    }
    *ret_event = (struct span){rpl->buffer + 1, rpl->size - 1};
    return true;
}
