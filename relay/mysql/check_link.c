#include "relay/mysql/check_link.h"

#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mysql/client.h"
#include "relay/ports/link_rate.h"

#include "mysql_check_link_sql.h"

/* mysql_free_result reads the rest of the answer, unless there is no connection; so this ends the connection. */
static void
hang_up(MYSQL *mysql)
{
    (void)shutdown(mysql_client_socket(mysql), SHUT_RDWR); /* it may be gone already */
}

/* True if it ended without an error, or time was up. */
static bool
take_rows(MYSQL *mysql, MYSQL_RES *rows, struct link_transfer *transfer)
{
    const uint64_t deadline_us = transfer->sent_us + LINK_PATIENCE_US;
    while (mysql_fetch_row(rows) != NULL) {
        const uint64_t now_us = clock_monotonic_us();
        if (transfer->rows < LINK_ROWS) {
            transfer->come_us[transfer->rows++] = now_us;
        }
        if (now_us >= deadline_us) {
            hang_up(mysql);
            return true;
        }
    }
    return mysql_errno(mysql) == 0;
}

static bool
carry(MYSQL *mysql, struct link_transfer *ret_transfer)
{
    *ret_transfer = (struct link_transfer){.sent_us = clock_monotonic_us()};
    MYSQL_RES *const rows =
        mysql_query(mysql, sql_check_link) == 0 ? mysql_use_result(mysql) : NULL;
    const bool good = rows != NULL && take_rows(mysql, rows, ret_transfer);
    ret_transfer->end_us = clock_monotonic_us();
    mysql_free_result(rows);
    return good;
}

void
my_check_link(struct report *report, const struct source_config *source, struct my_session *session)
{
    const struct link_needs needs = {.source = source->name,
                                     .batch_bytes = source->batch_bytes,
                                     .takeover_us = source->takeover_us};
    struct link_transfer transfer;
    if (carry(session->mysql, &transfer)) {
        link_rate_tell(report, &needs, &transfer);
    } else {
        report_problem(report, "source \"%s\": the link to the server cannot be measured: %s",
                       source->name, mysql_error(session->mysql));
    }
}
