#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "relay/daemon/recent.h"

static struct recent_event events[RECENT_MAX];

#define NOTE(level, source, ...) \
    recent_note(7, (level), "lane_lost", (source), (const struct log_field[]){__VA_ARGS__, {0}})

Test(recent, nothing_yet)
{
    cr_assert_eq(recent_get(0, events), 0);
}

Test(recent, what_people_read_first)
{
    NOTE(LOG_WARNING, "orders", LOG_WORDS("not publishing"), LOG_INT("attempt", 3),
         LOG_STR("error", "refused"), LOG_STR("peer", "rabbit"));
    NOTE(LOG_ERROR, "orders", LOG_STR("source", "bills"), LOG_STR("error", NULL));
    NOTE(LOG_DEBUG, NULL, LOG_WORDS("too much"));
    cr_assert_eq(recent_get(0, events), 2);
    cr_assert_eq(events[0].number, 1);
    cr_assert_eq(events[0].wall_us, 7);
    cr_assert_eq(events[0].level, LOG_WARNING);
    cr_assert_str_eq(events[0].event, "lane_lost");
    cr_assert_str_eq(events[0].source, "orders");
    cr_assert_str_eq(events[0].words, "not publishing");
    cr_assert_str_eq(events[0].error, "refused");
    cr_assert_str_eq(events[1].source, "bills");
    cr_assert_str_empty(events[1].words);
    cr_assert_str_empty(events[1].error);
}

Test(recent, the_last_hundred_are_kept)
{
    for (int i = 1; i <= 250; i++) {
        char words[20];
        (void)snprintf(words, sizeof(words), "%d", i); /* fits */
        NOTE(LOG_INFO, NULL, LOG_WORDS(words));
    }
    cr_assert_eq(recent_get(0, events), RECENT_MAX);
    cr_assert_str_eq(events[0].words, "151");
    cr_assert_str_eq(events[RECENT_MAX - 1].words, "250");
    cr_assert_eq(recent_get(248, events), 2);
    cr_assert_eq(events[0].number, 249);
    cr_assert_eq(recent_get(250, events), 0);
    cr_assert_eq(recent_get(UINT64_MAX - 1, events), 0);
}

Test(recent, long_texts_are_cut_between_characters)
{
    char text[1000] = "";
    for (size_t i = 0; i < 300; i++) {
        memcpy(text + 3 * i, "\xe6\x97\xa5", 3);
    }
    NOTE(LOG_INFO, NULL, LOG_WORDS(text));
    cr_assert_eq(recent_get(0, events), 1);
    cr_assert_eq(strlen(events[0].words), 255);
    cr_assert(utf8_is_text(events[0].words, strlen(events[0].words)));
    NOTE(LOG_INFO, NULL, LOG_BYTES("msg", text + 1, 900)); /* cut at another place */
    cr_assert_eq(recent_get(1, events), 1);
    cr_assert_leq(strlen(events[0].words), 255);
}

static void *
note_many(void *unused)
{
    for (int i = 0; i < 10000; i++) {
        NOTE(LOG_INFO, "orders", LOG_WORDS("moving"));
    }
    return unused;
}

Test(recent, threads_note_at_the_same_time)
{
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, note_many, NULL), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_assert_eq(recent_get(0, events), RECENT_MAX);
    cr_assert_eq(events[RECENT_MAX - 1].number, 20000);
}

Test(recent, the_log_notes_what_it_writes)
{
    log_set_source("orders");
    log_info("source_ready", LOG_WORDS("owning the outbox"));
    cr_assert_eq(recent_get(0, events), 1);
    cr_assert_str_eq(events[0].event, "source_ready");
    cr_assert_str_eq(events[0].source, "orders");
    cr_assert_gt(events[0].wall_us, 0);
}
