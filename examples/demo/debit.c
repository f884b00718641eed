/* debit.c - moves money, a little at a time, until so many transfers are committed. After a failure it connects again.
 *
 *     debit_pg DSN TRANSFERS PER_SECOND
 *     debit_mysql OPTION_FILE TRANSFERS PER_SECOND
 *
 * Every eighth transaction is rolled back on purpose: of that transfer, nobody must ever hear. Prints at the end how many
 * were committed and rolled back. */
#include "debit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACCOUNTS 20
#define ROLL_BACK_EVERY 8
#define AMOUNT_MAX 100
#define PAUSE_MS 200 /* before it connects again */
#define FAILURES_MAX 300

void
debit_announce(const struct transfer *transfer, struct announcement *ret_announcement)
{
    struct outbox_message *message = &ret_announcement->message;
    *message = (struct outbox_message)OUTBOX_MESSAGE_INIT;
    (void)snprintf(ret_announcement->key, sizeof(ret_announcement->key), "account-%d",
                   transfer->account);
    (void)snprintf(ret_announcement->body, sizeof(ret_announcement->body),
                   "{\"account\": %d, \"sequence\": %lld, \"amount\": %d}", transfer->account,
                   (long long)transfer->sequence, transfer->amount);
    message->routing_key = "transfer";
    message->key =
        ret_announcement->key; /* transfers of one account arrive in the order of their commits */
    message->type = "transfer.made";
    message->content_type = "application/json";
    message->payload = ret_announcement->body;
    message->payload_length = strlen(ret_announcement->body);
}

static void
sleep_until(const struct timespec *start, int64_t after_ms)
{
    struct timespec due = *start;
    const int64_t nanoseconds = due.tv_nsec + after_ms * 1000000;
    due.tv_sec += nanoseconds / 1000000000;
    due.tv_nsec = nanoseconds % 1000000000;
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void
pause_and_connect(const char *database)
{
    struct timespec now;
    debit_disconnect();
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    sleep_until(&now, PAUSE_MS);
    (void)debit_connect(database); /* else the next transfer fails, and leads here again */
}

static bool
move_money(const char *database, long transfers, long per_second)
{
    struct timespec start;
    long committed = 0, rolled_back = 0;
    int failures = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    srand((unsigned)(start.tv_nsec ^ start.tv_sec));
    while (committed < transfers && failures < FAILURES_MAX) {
        const bool roll_back = (committed + rolled_back) % ROLL_BACK_EVERY == ROLL_BACK_EVERY - 1;
        struct transfer transfer = {.account = 1 + rand() % ACCOUNTS,
                                    .amount = 1 + rand() % AMOUNT_MAX};
        if (!debit_transfer(&transfer, roll_back)) {
            failures++;
            pause_and_connect(database);
            continue;
        }
        failures = 0;
        *(roll_back ? &rolled_back : &committed) += 1;
        sleep_until(&start, (committed + rolled_back) * 1000 / per_second);
    }
    (void)printf("committed=%ld rolled_back=%ld\n", committed, rolled_back);
    return committed == transfers;
}

int
main(int argc, char **argv)
{
    const long transfers = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
    const long per_second = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (transfers < 1 || per_second < 1) {
        (void)fprintf(stderr, "usage: %s DATABASE TRANSFERS PER_SECOND\n", argv[0]);
        return 64;
    }
    const bool moved = debit_connect(argv[1]) && move_money(argv[1], transfers, per_second);
    debit_disconnect();
    return moved ? EXIT_SUCCESS : EXIT_FAILURE;
}
