#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "relay/ports/link_rate.h"

static char lines[2000];

static void
take_line(void *context, const char *word, const char *words)
{
    (void)context;
    (void)snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "%s: %s\n", word,
                   words); /* fits */
}

/* Rows that came `each_us` apart, with an additional pause of `pause_us` before this one. */
static struct link_transfer
transfer_of(size_t rows, uint64_t each_us, size_t paused, uint64_t pause_us)
{
    struct link_transfer transfer = {.rows = rows};
    uint64_t now_us = 0;
    for (size_t i = 0; i < rows; i++) {
        now_us += each_us + (i == paused ? pause_us : 0);
        transfer.come_us[i] = now_us;
    }
    transfer.end_us = now_us > LINK_PATIENCE_US ? now_us : LINK_PATIENCE_US;
    return transfer;
}

static void
tell(struct link_transfer transfer)
{
    const struct link_needs needs = {
        .source = "orders", .batch_bytes = 4 << 20, .takeover_us = 15 * CLOCK_S_US};
    struct report report = {.tell = take_line};
    lines[0] = '\0';
    link_rate_tell(&report, &needs, &transfer);
    cr_assert_eq(report.problems, 0);
}

/* 4 MiB have half of 15 s: 559,241 bytes a second, 7,324 us a row. */
Test(link_rate, nothing_is_said_of_one_that_is_fast_enough)
{
    tell(transfer_of(LINK_ROWS, 7300, 0, 0));
    cr_assert_str_empty(lines);
}

Test(link_rate, one_that_is_too_slow)
{
    tell(transfer_of(LINK_ROWS, 8192, 0, 0));
    cr_assert_not_null(
        strstr(lines, "advice: source \"orders\": the link to the server carries 488.3 KiB a "
                      "second (measured), which is slow: a full batch (batch_bytes = 4MiB) takes 8 "
                      "s, more than a quarter of takeover = 15s, so the relay reads smaller "
                      "batches: set batch_bytes = 1MiB, or takeover = 35s\n"),
        "%s", lines);
}

/* Of the last two quarters the faster one counts. */
Test(link_rate, a_pause_makes_no_slow_link)
{
    tell(transfer_of(LINK_ROWS, 1000, LINK_ROWS * 5 / 8, 2 * CLOCK_S_US));
    cr_assert_str_empty(lines);
    tell(transfer_of(LINK_ROWS, 1000, LINK_ROWS * 7 / 8, 2 * CLOCK_S_US));
    cr_assert_str_empty(lines);
}

Test(link_rate, few_rows_say_that_it_is_no_faster)
{
    tell(transfer_of(2, 1000, 0, 0));
    cr_assert_not_null(strstr(lines, "carries at most 4.0 KiB a second"), "%s", lines);
    cr_assert_not_null(strstr(lines, "takes at least 1024 s"), "%s", lines);
    cr_assert_not_null(strstr(lines, "set batch_bytes = 64KiB and takeover = "), "%s", lines);
}
