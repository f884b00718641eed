#include "relay/ports/link_rate.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

/* Fewer rows give only an upper bound of the rate. */
#define ROWS_MIN 6

/* The relay asks for half as much when an answer takes longer than a quarter of the lease (fetch_plan.c). One
 * measurement is not exact enough to advise by that quarter: something is said from half of the lease on. */
#define PARTS_FIT 4
#define PARTS_TOLD 2

/* The same limits as in config/keys.c. */
#define BATCH_BYTES_MIN ((uint64_t)64 << 10)
#define TAKEOVER_MAX_US (600 * CLOCK_S_US)
#define TAKEOVER_STEP_US (5 * CLOCK_S_US)

/* Bytes a second between two rows. */
static uint64_t
rate_between(const struct link_transfer *transfer, size_t from, size_t to)
{
    const uint64_t us = transfer->come_us[to] - transfer->come_us[from];
    return us == 0 ? UINT64_MAX : (to - from) * LINK_ROW_BYTES * CLOCK_S_US / us;
}

/* The faster of the last two quarters: a machine that paused for a moment must not make the link look slow. */
static uint64_t
rate_of(const struct link_transfer *transfer)
{
    const size_t rows = transfer->rows;
    if (rows < ROWS_MIN) { /* one more row has not arrived */
        return (rows + 1) * LINK_ROW_BYTES * CLOCK_S_US /
               (transfer->end_us - transfer->sent_us + 1);
    }
    const uint64_t third = rate_between(transfer, rows / 2, rows * 3 / 4);
    const uint64_t fourth = rate_between(transfer, rows * 3 / 4, rows - 1);
    return third > fourth ? third : fourth;
}

/* The largest batch, BATCH_BYTES_MIN times a power of two, that is transferred within the relay's part of the lease. */
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

/* What to set: a smaller batch, or a longer lease where that is allowed; both if the link is too slow for one of them
 * alone. */
static void
remedy(const struct link_needs *needs, uint64_t rate, char *ret_text, size_t size)
{
    char batch[TEXT_UNIT_BYTES];
    char takeover[TEXT_UNIT_BYTES];
    const uint64_t bytes = fitting_batch(rate, needs->takeover_us);
    const uint64_t with_us = fitting_takeover_us(rate, bytes);
    const uint64_t alone_us = fitting_takeover_us(rate, needs->batch_bytes);
    const bool both = bytes * CLOCK_S_US / rate > needs->takeover_us / PARTS_FIT;
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
tell_slow(struct report *report, const struct link_needs *needs, uint64_t rate, bool bound)
{
    char batch[TEXT_UNIT_BYTES];
    char takeover[TEXT_UNIT_BYTES];
    char settings[100];
    text_format_size(needs->batch_bytes, batch);
    text_format_duration(needs->takeover_us, takeover);
    remedy(needs, rate, settings, sizeof(settings));
    report_advice(
        report,
        "source \"%s\": the link to the server carries %s%.1f KiB a second (measured), which is "
        "slow: a full batch (batch_bytes = %s) takes %s%" PRIu64
        " s, more than a quarter of takeover = %s, so the relay reads smaller batches: set %s",
        needs->source, bound ? "at most " : "", (double)rate / 1024, batch,
        bound ? "at least " : "", needs->batch_bytes / rate, takeover, settings);
}

void
link_rate_tell(struct report *report, const struct link_needs *needs,
               const struct link_transfer *transfer)
{
    const uint64_t rate = rate_of(transfer);
    if (needs->batch_bytes * CLOCK_S_US / rate > needs->takeover_us / PARTS_TOLD) {
        tell_slow(report, needs, rate, transfer->rows < ROWS_MIN);
    }
}
