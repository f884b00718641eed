#include "relay/http/facts.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/http/crew.h"
#include "relay/ports/database.h"

/* A database that does not answer keeps one of these busy, until its connection counts as lost. */
#define ASKING 4
#define WAITING 256

/* What is known of a source. */
struct cell {
    struct cell *next;
    char name[64];
    bool asking;
    uint64_t due_us;
    struct facts_figures figures;
};

struct facts {
    struct board *board;
    void (*wake)(void *context);
    void *wake_context;
    struct crew *crew;
    pthread_mutex_t mutex;
    struct cell *cells;
    uint64_t every_us;
    uint64_t wanted_us; /* when somebody wanted to know last */
};

/* One question to one database. */
struct question {
    struct facts *facts;
    struct config *config;
    const struct source_config *source; /* of it */
};

struct facts *
facts_new(struct board *board, void (*wake)(void *context), void *context)
{
    struct facts *const facts = memory_array(1, sizeof(*facts));
    *facts = (struct facts){
        .board = board,
        .wake = wake,
        .wake_context = context,
        .crew = crew_new(ASKING, WAITING),
        .every_us = FACTS_EVERY_US,
    };
    (void)pthread_mutex_init(&facts->mutex, NULL); /* cannot fail on Linux */
    return facts;
}

static void
lock(struct facts *facts)
{
    (void)pthread_mutex_lock(&facts->mutex); /* cannot fail: it is ours, and never taken twice */
}

static void
unlock(struct facts *facts)
{
    (void)pthread_mutex_unlock(&facts->mutex); /* as above */
}

bool
facts_stop(struct facts *facts, uint64_t patience_us)
{
    if (facts == NULL) {
        return true;
    }
    if (!crew_stop(facts->crew, patience_us)) {
        return false;
    }
    while (facts->cells != NULL) {
        struct cell *const cell = facts->cells;
        facts->cells = cell->next;
        memory_free(cell);
    }
    (void)pthread_mutex_destroy(&facts->mutex); /* nobody uses it */
    memory_free(facts);
    return true;
}

static struct cell *
find_cell(struct facts *facts, const char *source)
{
    struct cell *cell = facts->cells;
    while (cell != NULL && strcmp(cell->name, source) != 0) {
        cell = cell->next;
    }
    return cell;
}

static struct cell *
need_cell(struct facts *facts, const char *source)
{
    struct cell *cell = find_cell(facts, source);
    if (cell == NULL) {
        cell = memory_array(1, sizeof(*cell));
        (void)strncpy(cell->name, source, sizeof(cell->name) - 1); /* names are shorter */
        cell->next = facts->cells;
        facts->cells = cell;
    }
    return cell;
}

void
facts_get(struct facts *facts, const char *source, uint64_t now_us,
          struct facts_figures *ret_figures)
{
    *ret_figures = (struct facts_figures){0};
    lock(facts);
    const struct cell *const cell = find_cell(facts, source);
    if (cell != NULL && cell->figures.known &&
        now_us < cell->figures.told_us + FACTS_OLD * facts->every_us) {
        *ret_figures = cell->figures;
    }
    unlock(facts);
}

void
facts_want(struct facts *facts, uint64_t now_us)
{
    lock(facts);
    const bool again = facts->wanted_us == 0 || now_us > facts->wanted_us + FACTS_WANTED_US;
    facts->wanted_us = now_us;
    unlock(facts);
    if (again) {
        facts->wake(facts->wake_context);
    }
}

static struct facts_figures
figures_of(const struct admin_status *status)
{
    const size_t owners = admin_status_owner(status) == NULL ? 0 : 1;
    const struct admin_keeper *const keeper = &status->keeper;
    const bool has_oldest = status->oldest_us != ADMIN_NO_TIME;
    const int64_t age_us = has_oldest ? status->now_us - status->oldest_us : 0;
    return (struct facts_figures){
        .known = true,
        .told_us = clock_monotonic_us(),
        .pending = status->pending,
        .has_oldest = has_oldest,
        .oldest_age_us = age_us > 0 ? (uint64_t)age_us : 0,
        .held = status->held,
        .standbys = status->sessions.count - owners,
        .has_keeper = keeper->what != NULL,
        .keeper_active = keeper->active,
        .keeper_lost = keeper->lost,
        .keeper_retained = keeper->retained,
        .keeper_condition = keeper->condition,
        .keeper_limited = keeper->limited,
        .keeper_left = keeper->left,
        .vacuum = status->vacuum,
    };
}

/* A position means something only on the server where the owner is. One that cannot be compared is no failure of the rest. */
static void
ask_for_log(struct admin *admin, const struct admin_status *status, log_position read,
            struct facts_figures *figures)
{
    struct error error; /* as in ask_database */
    if (read > 0 && admin_status_owner(status) != NULL &&
        !admin_log_behind(admin, read, &figures->log_known, &figures->log_behind, &error)) {
        figures->log_known = false;
    }
}

/* Most of the time there is nothing to look at. */
static void
ask_for_reasons(struct admin *admin, struct facts_figures *figures)
{
    struct error error; /* as in ask_database */
    figures->reasons_known = figures->held.retrying + figures->held.dead == 0 ||
                             admin_held_reasons(admin, &figures->reasons, &error);
}

static bool
ask_database(struct facts *facts, const struct source_config *source,
             struct facts_figures *ret_figures)
{
    struct error error; /* the worker logs what is wrong with this database */
    struct admin_status status;
    struct admin *const admin = source->kind->admin_open(source, &error);
    const bool good = admin != NULL && admin_status_get(admin, &status, &error);
    if (good) {
        *ret_figures = figures_of(&status);
        ask_for_reasons(admin, ret_figures);
        ask_for_log(admin, &status, board_log_read(facts->board, source->name), ret_figures);
        admin_status_free(&status);
    }
    admin_close(admin);
    return good;
}

static void
note_answer(struct facts *facts, const char *source, const struct facts_figures *figures)
{
    lock(facts);
    struct cell *const cell = need_cell(facts, source);
    cell->asking = false;
    cell->due_us = clock_monotonic_us() + (figures == NULL ? FACTS_AGAIN_US : facts->every_us);
    if (figures != NULL) {
        cell->figures = *figures;
    }
    unlock(facts);
    facts->wake(facts->wake_context);
}

static void
ask(void *context, bool ending)
{
    struct question *const question = context;
    struct facts_figures figures;
    const bool good = !ending && ask_database(question->facts, question->source, &figures);
    note_answer(question->facts, question->source->name, good ? &figures : NULL);
    config_free(question->config);
    memory_free(question);
}

/* Whether the database of this source is to be asked now; else lowers *next_us to when it is. */
static bool
is_due(struct facts *facts, const char *source, uint64_t now_us, uint64_t *next_us)
{
    lock(facts);
    struct cell *const cell = need_cell(facts, source);
    const bool due = !cell->asking && now_us >= cell->due_us;
    cell->asking |= due;
    if (!cell->asking) {
        *next_us = clock_earlier_us(*next_us, cell->due_us);
    }
    unlock(facts);
    return due;
}

static void
put_question(struct facts *facts, struct config *config, const struct source_config *source)
{
    struct question *const question = memory_array(1, sizeof(*question));
    *question = (struct question){facts, config_ref(config), source};
    if (!crew_do(facts->crew, ask, question)) {
        ask(question, true);
    }
}

static uint64_t
ask_all(struct facts *facts, struct config *config, uint64_t now_us)
{
    const uint64_t spread_us = FACTS_SPREAD_US * config->source_count;
    uint64_t next_us = CLOCK_NEVER_US;
    lock(facts);
    facts->every_us = spread_us > FACTS_EVERY_US ? spread_us : FACTS_EVERY_US;
    unlock(facts);
    for (size_t i = 0; i < config->source_count; i++) {
        const struct source_config *const source = &config->sources[i];
        if (is_due(facts, source->name, now_us, &next_us)) {
            put_question(facts, config, source);
        }
    }
    return next_us;
}

/* Cells of sources that are gone would stay for ever. */
static void
drop_gone(struct facts *facts, const struct config *config)
{
    lock(facts);
    for (struct cell **at = &facts->cells; *at != NULL;) {
        struct cell *const cell = *at;
        bool known = cell->asking;
        for (size_t i = 0; i < config->source_count && !known; i++) {
            known = strcmp(config->sources[i].name, cell->name) == 0;
        }
        if (known) {
            at = &cell->next;
        } else {
            *at = cell->next;
            memory_free(cell);
        }
    }
    unlock(facts);
}

uint64_t
facts_ask(struct facts *facts, uint64_t now_us)
{
    lock(facts);
    const bool wanted = facts->wanted_us != 0 && now_us <= facts->wanted_us + FACTS_WANTED_US;
    unlock(facts);
    struct config *const config = wanted ? board_config(facts->board) : NULL;
    if (config == NULL) {
        return CLOCK_NEVER_US;
    }
    drop_gone(facts, config);
    const uint64_t next_us = ask_all(facts, config, now_us);
    config_free(config);
    return next_us;
}
