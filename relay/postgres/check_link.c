#include "relay/postgres/check_private.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/text.h"
#include "relay/postgres/foreground.h"

/* One MiB, so that TCP has got going over a far link when the second half of it comes; what has come after this time is
 * enough where the link is slow. */
#define ROW_BYTES 4096
#define ROWS 256
#define PATIENCE_US (3 * CLOCK_S_US)
/* Fewer say too little about the rate but that it is no higher. */
#define ROWS_MIN 6

/* The relay asks for half as much when an answer takes longer than a quarter of the lease (source_fetch.c). One
 * measurement is not exact enough to advise by that quarter: something is said from half of the lease on. */
#define PARTS_FIT 4
#define PARTS_TOLD 2

/* As in the table of the keys: config/keys.c. */
#define BATCH_BYTES_MIN ((uint64_t)64 << 10)
#define TAKEOVER_MAX_US (600 * CLOCK_S_US)
#define TAKEOVER_STEP_US (5 * CLOCK_S_US)

struct transfer {
    size_t rows;
    uint64_t sent_us;
    uint64_t end_us;
    uint64_t come_us[ROWS];
};

/* Digests, so that nothing on the way makes them much smaller. */
static const char sql[] =
    "select (select pg_catalog.string_agg(pg_catalog.encode(pg_catalog.sha512("
    "pg_catalog.int8send(row * 32 + part)), 'hex'), '')"
    " from pg_catalog.generate_series(1::int8, 32) as part)"
    " from pg_catalog.generate_series(1::int8, 256) as row";

/* True if it ended well, or time was up. */
static bool
carry(PGconn *connection, struct transfer *ret_transfer)
{
    struct transfer *const transfer = ret_transfer;
    *transfer = (struct transfer){.sent_us = clock_monotonic_us()};
    const uint64_t deadline_us = transfer->sent_us + PATIENCE_US;
    bool good = PQsendQuery(connection, sql) != 0 && PQsetSingleRowMode(connection) != 0;
    bool more = good;
    while (more && postgres_await(connection, deadline_us)) {
        PGresult *const result = PQgetResult(connection);
        const ExecStatusType status = PQresultStatus(result);
        more = result != NULL;
        if (status == PGRES_SINGLE_TUPLE && transfer->rows < ROWS) {
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

/* Bytes a second between two rows. */
static uint64_t
rate_between(const struct transfer *transfer, size_t from, size_t to)
{
    const uint64_t us = transfer->come_us[to] - transfer->come_us[from];
    return us == 0 ? UINT64_MAX : (to - from) * ROW_BYTES * CLOCK_S_US / us;
}

/* The better of the last two quarters: a machine that stood still for a moment makes no slow link. */
static uint64_t
rate_of(const struct transfer *transfer)
{
    const size_t rows = transfer->rows;
    if (rows < ROWS_MIN) { /* one more has not come */
        return (rows + 1) * ROW_BYTES * CLOCK_S_US / (transfer->end_us - transfer->sent_us + 1);
    }
    const uint64_t third = rate_between(transfer, rows / 2, rows * 3 / 4);
    const uint64_t fourth = rate_between(transfer, rows * 3 / 4, rows - 1);
    return third > fourth ? third : fourth;
}

/* The largest power of two that comes within the relay's part of the lease. */
static uint64_t
fitting_batch(uint64_t rate, uint64_t takeover_us)
{
    const uint64_t bytes = rate * (takeover_us / PARTS_FIT) / CLOCK_S_US;
    uint64_t fitting = BATCH_BYTES_MIN;
    while (fitting * 2 <= bytes) {
        fitting *= 2;
    }
    return fitting;
}

static uint64_t
fitting_takeover_us(uint64_t rate, uint64_t bytes)
{
    const uint64_t us = bytes * CLOCK_S_US / rate * PARTS_FIT;
    return (us / TAKEOVER_STEP_US + 1) * TAKEOVER_STEP_US;
}

/* What to set: a smaller batch, or where that is allowed a longer lease; both where the link is too slow for one of them. */
static void
remedy(const struct source_config *source, uint64_t rate, char *ret_text, size_t size)
{
    char batch[TEXT_UNIT_BYTES];
    char takeover[TEXT_UNIT_BYTES];
    const uint64_t bytes = fitting_batch(rate, source->takeover_us);
    const uint64_t with_us = fitting_takeover_us(rate, bytes);
    const uint64_t alone_us = fitting_takeover_us(rate, source->batch_bytes);
    const bool both = bytes * CLOCK_S_US / rate > source->takeover_us / PARTS_FIT;
    const uint64_t us = both ? with_us : alone_us;
    text_format_size(bytes, batch);
    text_format_duration(us < TAKEOVER_MAX_US ? us : TAKEOVER_MAX_US, takeover);
    if (both) {
        (void)snprintf(ret_text, size, "batch_bytes = %s and takeover = %s", batch,
                       takeover); /* fits */
    } else if (us <= TAKEOVER_MAX_US) {
        (void)snprintf(ret_text, size, "batch_bytes = %s, or takeover = %s", batch,
                       takeover); /* fits */
    } else {
        (void)snprintf(ret_text, size, "batch_bytes = %s", batch); /* fits */
    }
}

static void
tell_slow(struct report *report, const struct source_config *source, uint64_t rate, bool bound)
{
    char batch[TEXT_UNIT_BYTES];
    char takeover[TEXT_UNIT_BYTES];
    char settings[100];
    text_format_size(source->batch_bytes, batch);
    text_format_duration(source->takeover_us, takeover);
    remedy(source, rate, settings, sizeof(settings));
    report_advice(
        report,
        "source \"%s\": the link to the server carries %s%.1f KiB a second (measured), so "
        "a whole batch, batch_bytes = %s, takes %s%" PRIu64
        " s, and the relay, which wants it within a quarter of takeover = %s, has to ask "
        "for less at a time: set %s",
        source->name, bound ? "at most " : "", (double)rate / 1024, batch, bound ? "at least " : "",
        source->batch_bytes / rate, takeover, settings);
}

void
check_postgres_link(struct report *report, const struct source_config *source, PGconn *connection)
{
    struct transfer transfer;
    if (!carry(connection, &transfer)) {
        report_problem(report, "source \"%s\": the link to the server cannot be measured: %s",
                       source->name, PQerrorMessage(connection));
        return;
    }
    const uint64_t rate = rate_of(&transfer);
    if (source->batch_bytes * CLOCK_S_US / rate > source->takeover_us / PARTS_TOLD) {
        tell_slow(report, source, rate, transfer.rows < ROWS_MIN);
    }
}
