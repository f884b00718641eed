#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/api/asker.h"
#include "relay/ports/admin_ops.h"

/* Far more than anything here takes. */
#define PATIENCE_US (60 * CLOCK_S_US)

/* ---- a database that answers as the test wants ---------------------------------------------------------- */

static atomic_int opened;
static atomic_int open_now;
static atomic_int most; /* that were open at the same time, or nearly */
static atomic_int asked;
static atomic_bool away;   /* it cannot be reached */
static atomic_bool breaks; /* the next question breaks the session */
static atomic_bool hangs;  /* whoever asks gets no answer */
static atomic_bool was_hung;

static void
close_fake(struct admin *admin)
{
    open_now--;
    memory_free(admin);
}

static const struct admin_ops fake_ops = {.close = close_fake};

static struct admin *
open_fake(const struct source_config *source, struct error *reterr)
{
    (void)source;
    if (away) {
        (void)error_set(reterr, ERROR_TRANSIENT, "it is away"); /* always false */
        return NULL;
    }
    struct admin *const admin = memory_array(1, sizeof(*admin));
    admin->ops = &fake_ops;
    opened++;
    const int now = ++open_now;
    most = now > most ? now : (int)most;
    return admin;
}

static const struct database_kind fake_kind = {.name = "fake", .admin_open = open_fake};

static bool
answer(const struct source_config *source, struct admin *admin, const json_t *parameters,
       json_t **ret_document, struct error *reterr)
{
    (void)source;
    cr_assert_eq(admin->ops, &fake_ops);
    while (hangs) {
        was_hung = true;
        (void)usleep(1000);
    }
    if (atomic_exchange(&breaks, false)) {
        return error_set(reterr, ERROR_CONNECTION, "the session is gone");
    }
    *ret_document = json_pack("{sisO}", "number", ++asked, "parameters", parameters);
    return true;
}

static const struct api_question question = {"question", answer, 600 * CLOCK_S_US, false};
static const struct api_question old_at_once = {"old", answer, 0, false};
static const struct api_question act = {"act", answer, 600 * CLOCK_S_US, true};

/* ---- a configuration with two sources ------------------------------------------------------------------- */

static struct config *config;
static struct api_askers *askers;
static json_t *parameters;

static struct config *
config_of(const char *const *names, size_t count)
{
    struct config *const made = memory_array(1, sizeof(*made));
    atomic_init(&made->references, 1);
    made->sources = memory_array(count, sizeof(*made->sources));
    made->source_count = count;
    for (size_t i = 0; i < count; i++) {
        made->sources[i].name = memory_string(names[i]);
        made->sources[i].kind = &fake_kind;
    }
    return made;
}

static struct config *
new_config(void)
{
    static const char *const names[] = {"orders", "bills"};
    return config_of(names, 2);
}

static void
set_up(void)
{
    config = new_config();
    askers = api_askers_new();
    parameters = json_pack("{si}", "id", 7);
}

static void
tear_down(void)
{
    cr_assert(api_askers_free(askers));
    cr_assert_eq(open_now, 0);
    cr_assert_eq(config->references, 1, "it is still held");
    config_free(config);
    json_decref(parameters);
}

TestSuite(api_asker, .init = set_up, .fini = tear_down, .timeout = 120);

static struct api_answer
ask(size_t source, const struct api_question *what, uint64_t patience_us)
{
    const struct api_place place = {&config->sources[source], config};
    struct api_answer result;
    api_ask(askers, &place, what, parameters, patience_us, &result);
    return result;
}

static int
number(struct api_answer answer_got)
{
    cr_assert_not_null(answer_got.document);
    const int got = (int)json_integer_value(json_object_get(answer_got.document, "number"));
    json_decref(answer_got.document);
    return got;
}

Test(api_asker, one_session_answers_all_of_a_source)
{
    struct api_answer first = ask(0, &old_at_once, PATIENCE_US);
    cr_assert(first.current);
    cr_assert_not(first.again);
    cr_assert_eq(
        json_integer_value(json_object_get(json_object_get(first.document, "parameters"), "id")),
        7);
    cr_assert_eq(number(first), 1);
    cr_assert_eq(number(ask(0, &old_at_once, PATIENCE_US)), 2);
    cr_assert_eq(opened, 1);
    cr_assert_eq(number(ask(1, &old_at_once, PATIENCE_US)), 3);
    cr_assert_eq(opened, 2);
}

Test(api_asker, the_same_is_asked_once)
{
    cr_assert_eq(number(ask(0, &question, PATIENCE_US)), 1);
    struct api_answer second = ask(0, &question, PATIENCE_US);
    cr_assert(second.current);
    cr_assert(second.again);
    cr_assert_eq(number(second), 1);
    (void)json_object_set_new(parameters, "id", json_integer(8)); /* has the memory */
    cr_assert_eq(number(ask(0, &question, PATIENCE_US)), 2);
    cr_assert_eq(number(ask(1, &question, PATIENCE_US)), 3, "another source is another question");
}

static void
await_hang(void)
{
    while (!was_hung) { /* the test's time ends this */
        (void)usleep(1000);
    }
}

static void *
ask_act(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)number(ask(0, &act, PATIENCE_US));
}

Test(api_asker, an_act_that_is_asked_for_by_many_is_done_once)
{
    pthread_t threads[8];
    hangs = true;
    for (size_t i = 0; i < 8; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, ask_act, NULL), 0);
    }
    await_hang();
    hangs = false;
    for (size_t i = 0; i < 8; i++) {
        void *got;
        cr_assert_eq(pthread_join(threads[i], &got), 0);
        cr_assert_eq((intptr_t)got, 1);
    }
    cr_assert_eq(asked, 1);
}

Test(api_asker, a_database_that_hangs_delays_nobody_else)
{
    cr_assert_eq(number(ask(0, &old_at_once, PATIENCE_US)), 1);
    hangs = true;
    struct api_answer late = ask(0, &old_at_once, 1000);
    cr_assert_not(late.current);
    cr_assert_not_null(strstr(late.error.text, "has not answered"), "%s", late.error.text);
    cr_assert_eq(number(late), 1, "the last answer is still there");
    away = true;
    struct api_answer other = ask(1, &old_at_once, PATIENCE_US);
    cr_assert_not(other.current);
    cr_assert_null(other.document);
    cr_assert_str_eq(other.error.text, "it is away");
    hangs = false;
    away = false;
    cr_assert_eq(number(ask(0, &old_at_once, PATIENCE_US)), 2);
}

Test(api_asker, a_session_that_the_server_ended_is_made_again)
{
    cr_assert_eq(number(ask(0, &old_at_once, PATIENCE_US)), 1);
    breaks = true;
    cr_assert_eq(number(ask(0, &old_at_once, PATIENCE_US)), 2);
    cr_assert_eq(opened, 2);
}

Test(api_asker, an_act_that_failed_is_not_done_again_by_itself)
{
    cr_assert_eq(number(ask(0, &question, PATIENCE_US)), 1);
    breaks = true;
    struct api_answer failed = ask(0, &act, PATIENCE_US);
    cr_assert_not(failed.current);
    cr_assert_null(failed.document);
    cr_assert_str_eq(failed.error.text, "the session is gone");
    struct api_answer again = ask(0, &act, PATIENCE_US);
    cr_assert_not(again.again, "whoever asks for it again means it");
    cr_assert_eq(number(again), 2);
}

Test(api_asker, all_sources_or_the_one_that_is_named)
{
    struct api_answer answers[2];
    api_ask_all(askers, config, NULL, &question, parameters, PATIENCE_US, answers);
    cr_assert(answers[0].current && answers[1].current);
    cr_assert_eq(number(answers[0]) + number(answers[1]), 3);
    api_ask_all(askers, config, "bills", &old_at_once, parameters, PATIENCE_US, answers);
    cr_assert_not(answers[0].current);
    cr_assert_null(answers[0].document);
    cr_assert_eq(number(answers[1]), 3);
    cr_assert_eq(asked, 3, "it was asked more than once");
}

static struct config *
many_sources(size_t count)
{
    static char texts[200][8];
    const char *names[200];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "s%zu", i); /* fits */
        names[i] = texts[i];
    }
    return config_of(names, count);
}

Test(api_asker, two_hundred_sources_take_turns)
{
    enum { MANY = 200 };
    static struct api_answer answers[MANY];
    struct config *const many = many_sources(MANY);
    const uint64_t begun_us = clock_monotonic_us();
    for (int round = 0; round < 2; round++) {
        api_ask_all(askers, many, NULL, round == 0 ? &old_at_once : &question, parameters,
                    PATIENCE_US, answers);
        for (size_t i = 0; i < MANY; i++) {
            cr_assert(answers[i].current, "%zu: %s", i, answers[i].error.text);
            json_decref(answers[i].document);
        }
    }
    if (clock_monotonic_us() - begun_us < CLOCK_S_US) { /* else one may have waited too long */
        cr_assert_leq(most, 16);
    }
    cr_assert(api_askers_free(askers));
    askers = NULL;
    cr_assert_eq(many->references, 1);
    config_free(many);
}

Test(api_asker, another_configuration_takes_the_place)
{
    cr_assert_eq(number(ask(0, &question, PATIENCE_US)), 1);
    struct config *const before = config;
    config = new_config();
    cr_assert_eq(number(ask(0, &question, PATIENCE_US)), 2);
    for (uint64_t until_us = clock_monotonic_us() + PATIENCE_US; before->references > 1;) {
        cr_assert_lt(clock_monotonic_us(), until_us, "the old one is still held");
        (void)usleep(1000);
    }
    config_free(before);
}

static size_t
thread_count(void)
{
    DIR *const tasks = opendir("/proc/self/task");
    size_t count = 0;
    cr_assert_not_null(tasks);
    while (readdir(tasks) != NULL) {
        count++;
    }
    cr_assert_eq(closedir(tasks), 0);
    return count;
}

Test(api_asker, a_hung_database_does_not_keep_the_process)
{
    const size_t threads = thread_count();
    const uint64_t begun_us = clock_monotonic_us();
    hangs = true;
    struct api_answer late = ask(0, &question, 1000);
    cr_assert_null(late.document);
    await_hang();
    cr_assert_not(api_askers_free(askers));
    cr_assert_lt(clock_monotonic_us() - begun_us, 30 * CLOCK_S_US);
    askers = NULL;
    hangs = false; /* the thread ends now, and lets the configuration go */
    while (thread_count() > threads) {
        (void)usleep(1000);
    }
    cr_assert_eq(config->references, 1);
    cr_assert_eq(open_now, 0);
}
