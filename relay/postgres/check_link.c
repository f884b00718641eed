#include "relay/postgres/check_private.h"

#include "base/clock.h"
#include "relay/ports/link_rate.h"
#include "relay/postgres/foreground.h"

/* Rows as link_rate.h needs them, made of digests so that compression on the way hardly shrinks them. */
static const char sql[] =
    "select (select pg_catalog.string_agg(pg_catalog.encode(pg_catalog.sha512("
    "pg_catalog.int8send(row * 32 + part)), 'hex'), '')"
    " from pg_catalog.generate_series(1::int8, 32) as part)"
    " from pg_catalog.generate_series(1::int8, 256) as row";

/* True if it ended without an error, or time was up. */
static bool
carry(PGconn *connection, struct link_transfer *ret_transfer)
{
    struct link_transfer *const transfer = ret_transfer;
    *transfer = (struct link_transfer){.sent_us = clock_monotonic_us()};
    const uint64_t deadline_us = transfer->sent_us + LINK_PATIENCE_US;
    bool good = PQsendQuery(connection, sql) != 0 && PQsetSingleRowMode(connection) != 0;
    bool more = good;
    while (more && postgres_await(connection, deadline_us)) {
        PGresult *const result = PQgetResult(connection);
        const ExecStatusType status = PQresultStatus(result);
        more = result != NULL;
        if (status == PGRES_SINGLE_TUPLE && transfer->rows < LINK_ROWS) {
            transfer->come_us[transfer->rows++] = clock_monotonic_us();
        } else if (more) {
            good = status == PGRES_TUPLES_OK;
            more = good;
        }
        PQclear(result);
    }
    transfer->end_us = clock_monotonic_us();
    return good && PQstatus(connection) == CONNECTION_OK;
}

void
check_postgres_link(struct report *report, const struct source_config *source, PGconn *connection)
{
    const struct link_needs needs = {.source = source->name,
                                     .batch_bytes = source->batch_bytes,
                                     .takeover_us = source->takeover_us};
    struct link_transfer transfer;
    if (carry(connection, &transfer)) {
        link_rate_tell(report, &needs, &transfer);
    } else {
        report_problem(report, "source \"%s\": the link to the server cannot be measured: %s",
                       source->name, PQerrorMessage(connection));
    }
}
