#include "relay/api/asker.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/api/json.h"

/* A thread and its session end when nobody asked for so long. */
#define IDLE_US (20 * CLOCK_S_US)
/* How long to wait for threads at the end. */
#define END_US CLOCK_S_US
/* So many sessions are open at the same time. One that would be too many waits until another ends, but not for long: that
 * one's database may hang. */
#define SESSIONS_MAX 16
#define TURN_US (2 * CLOCK_S_US)
/* With many sources an answer is good for longer, so that there is no more than one new session in this time. */
#define SPREAD_US (50 * CLOCK_MS_US)
/* How long an answer is kept when it is not fresh any more, for those who ask and get no newer one. */
#define KEEP_US (60 * CLOCK_S_US)
/* Answers that are kept of one source; the oldest are forgotten. */
#define REMEMBERED_MAX 64

/* A question, from when it is asked until its answer is forgotten. */
struct asked {
    const struct api_question *question;
    json_t *parameters; /* its own: not shared with another thread */
    bool taken;         /* the thread is at it */
    bool done;
    uint64_t asked_us;
    uint64_t done_us;
    json_t *document; /* of this or, as long as this is not done or has failed, of an earlier one */
    uint64_t document_us;
    bool failed;
    struct error error;
    unsigned waiters;
    struct asked *next; /* asked later */
};

/* One source. */
struct asker {
    struct api_askers *askers;
    struct api_place place;
    struct asked *asked;
    unsigned references; /* the list, the thread, and those who wait */
    bool running;        /* it has a thread */
    bool retired;        /* the source has another section now: ends when all is answered */
    pthread_cond_t work;
    struct asker *next;
};

/* One mutex for all: it is held for moments only. */
struct api_askers {
    pthread_mutex_t mutex;
    pthread_cond_t answered; /* something was, or a thread has ended */
    struct asker *list;
    size_t count; /* of the list */
    size_t threads;
    size_t sessions;      /* open, or being opened */
    size_t wanted;        /* threads that wait to open one */
    pthread_cond_t freed; /* a session has ended */
    bool ending;
    bool left_alone; /* the last thread frees it */
    pthread_t ended; /* a thread that has nothing to do any more but to be joined */
    bool has_ended;
};

static void
lock(struct api_askers *self)
{
    (void)pthread_mutex_lock(&self->mutex); /* cannot fail: no thread locks it twice */
}

static void
unlock(struct api_askers *self)
{
    (void)pthread_mutex_unlock(&self->mutex); /* cannot fail: it is ours */
}

static struct timespec
at_monotonic(uint64_t us)
{
    return (struct timespec){.tv_sec = (time_t)(us / CLOCK_S_US),
                             .tv_nsec = (long)(us % CLOCK_S_US * 1000)};
}

/* False when the time is over. */
static bool
wait_until(struct api_askers *self, pthread_cond_t *condition, uint64_t deadline_us)
{
    const struct timespec deadline = at_monotonic(deadline_us);
    return pthread_cond_timedwait(condition, &self->mutex, &deadline) == 0;
}

static void
init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic); /* these cannot fail on Linux with valid values */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

/* How long an answer is good for others. */
static uint64_t
fresh_us(const struct asker *asker, const struct asked *asked)
{
    const uint64_t spread_us = asker->askers->count * SPREAD_US;
    const uint64_t usual_us = asked->question->fresh_us;
    return asked->question->act || usual_us == 0 || usual_us > spread_us ? usual_us : spread_us;
}

static void
free_askers(struct api_askers *self)
{
    (void)pthread_cond_destroy(&self->answered); /* these cannot fail: nobody uses them */
    (void)pthread_cond_destroy(&self->freed);
    (void)pthread_mutex_destroy(&self->mutex);
    memory_free(self);
}

static void
free_asked(struct asked *asked)
{
    json_decref(asked->document);
    json_decref(asked->parameters);
    memory_free(asked);
}

static void
release_asker(struct asker *asker)
{
    asker->references--;
    if (asker->references > 0) {
        return;
    }
    while (asker->asked != NULL) {
        struct asked *const first = asker->asked;
        asker->asked = first->next;
        free_asked(first);
    }
    config_free(asker->place.config);
    (void)pthread_cond_destroy(&asker->work); /* cannot fail: nobody waits */
    memory_free(asker);
}

/* ---- a source's thread ---------------------------------------------------------------------------------- */

static struct asked *
next_to_answer(const struct asker *asker)
{
    struct asked *asked = asker->asked;
    while (asked != NULL && asked->taken) {
        asked = asked->next;
    }
    return asked;
}

/* A thread's session, and whether it counts. */
struct session {
    struct admin *admin;
    bool counted;
};

/* Waits for its turn to have one. Called with the mutex. */
static void
begin_session(struct api_askers *self, struct session *session)
{
    const uint64_t deadline_us = clock_monotonic_us() + TURN_US;
    if (session->counted) {
        return;
    }
    self->wanted++;
    if (self->sessions >= SESSIONS_MAX) { /* those that are idle end theirs */
        for (struct asker *asker = self->list; asker != NULL; asker = asker->next) {
            (void)pthread_cond_signal(&asker->work); /* cannot fail */
        }
    }
    while (self->sessions >= SESSIONS_MAX && !self->ending &&
           wait_until(self, &self->freed, deadline_us)) {
    }
    self->wanted--;
    self->sessions++;
    session->counted = true;
}

/* Called and returns with the mutex. */
static void
end_session(struct api_askers *self, struct session *session)
{
    unlock(self);
    admin_close(session->admin); /* may block */
    session->admin = NULL;
    lock(self);
    self->sessions -= session->counted ? 1 : 0;
    session->counted = false;
    (void)pthread_cond_signal(&self->freed); /* as above */
}

static bool
try_once(const struct asker *asker, const struct asked *asked, struct admin **admin,
         json_t **ret_document, struct error *reterr)
{
    const struct source_config *const source = asker->place.source;
    if (*admin == NULL) {
        *admin = source->kind->admin_open(source, reterr);
    }
    if (*admin == NULL) {
        return false;
    }
    if (asked->question->answer(source, *admin, asked->parameters, ret_document, reterr)) {
        return true;
    }
    admin_close(*admin); /* nothing else may be called after a failure */
    *admin = NULL;
    return false;
}

/* A session that was not used for a while may have been ended by the server: then another one may do. */
static bool
answer(const struct asker *asker, const struct asked *asked, struct admin **admin,
       json_t **ret_document, struct error *reterr)
{
    const bool old = *admin != NULL;
    return try_once(asker, asked, admin, ret_document, reterr) ||
           (old && !asked->question->act && try_once(asker, asked, admin, ret_document, reterr));
}

/* Called and returns with the mutex, which is not held while the database is asked. */
static void
answer_next(struct asker *asker, struct asked *asked, struct session *session)
{
    struct api_askers *const self = asker->askers;
    json_t *document = NULL;
    struct error error;
    asked->taken = true;
    begin_session(self, session);
    unlock(self);
    const bool good = answer(asker, asked, &session->admin, &document, &error);
    lock(self);
    asked->done = true;
    asked->done_us = clock_monotonic_us();
    asked->failed = !good;
    if (good) {
        json_decref(asked->document);
        asked->document = document;
        asked->document_us = asked->done_us;
    } else {
        asked->error = error;
    }
    (void)pthread_cond_broadcast(&self->answered); /* cannot fail */
    if (session->admin == NULL || self->wanted > 0) {
        end_session(self, session);
    }
}

/* Until there is nothing to do any more. Called and returns with the mutex, as those below are called. */
static void
answer_all(struct asker *asker, struct session *session)
{
    struct api_askers *const self = asker->askers;
    struct asked *asked = next_to_answer(asker);
    while (!self->ending && (asked != NULL || !asker->retired)) {
        if (asked != NULL) {
            answer_next(asker, asked, session);
        } else if (session->counted && self->wanted > 0) {
            end_session(self, session);
        } else if (!wait_until(self, &asker->work, clock_monotonic_us() + IDLE_US) &&
                   next_to_answer(asker) == NULL) {
            return;
        }
        asked = next_to_answer(asker);
    }
}

/* Takes it out of the list; its thread answers what was asked, and ends. */
static void
retire(struct asker **link)
{
    struct asker *const asker = *link;
    *link = asker->next;
    asker->askers->count--;
    asker->retired = true;
    (void)pthread_cond_signal(&asker->work); /* as above */
    release_asker(asker);
}

/* Nobody asks any more: forgets the source, which may be gone from the configuration. */
static void
retire_itself(struct asker *asker)
{
    struct asker **link = &asker->askers->list;
    while (*link != asker) {
        link = &(*link)->next;
    }
    retire(link);
}

/* Each thread joins the one that ended before it, so that all are gone when the last one is. Called with the mutex, which
 * it lets go. */
static void
end_thread(struct api_askers *self)
{
    const pthread_t before = self->ended;
    const bool has_before = self->has_ended;
    self->ended = pthread_self();
    self->has_ended = true;
    self->threads--;
    const bool last = self->left_alone && self->threads == 0;
    (void)pthread_cond_broadcast(&self->answered); /* as above */
    unlock(self);
    if (has_before) {
        (void)pthread_join(before, NULL); /* cannot fail: it is ours, and joined once */
    }
    if (last) {
        (void)pthread_detach(pthread_self()); /* cannot fail; nobody joins it */
        free_askers(self);
    }
}

static void *
run(void *context)
{
    struct asker *const asker = context;
    struct api_askers *const self = asker->askers;
    struct session session = {.admin = NULL};
    lock(self);
    answer_all(asker, &session);
    if (!asker->retired) {
        retire_itself(asker);
    }
    end_session(self, &session);
    release_asker(asker);
    end_thread(self);
    return NULL;
}

/* A thread inherits the signal mask of its creator. */
static int
create_thread(struct asker *asker)
{
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);                            /* cannot fail */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail with a valid `how` */
    const int failure = pthread_create(&thread, NULL, run, asker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* as above */
    return failure;                                    /* if it is 0, end_thread sees to it */
}

/* ---- asking --------------------------------------------------------------------------------------------- */

struct api_askers *
api_askers_new(void)
{
    struct api_askers *const self = memory_array(1, sizeof(*self));
    (void)pthread_mutex_init(&self->mutex, NULL); /* cannot fail on Linux */
    init_condition(&self->answered);
    init_condition(&self->freed);
    return self;
}

bool
api_askers_free(struct api_askers *self)
{
    if (self == NULL) {
        return true;
    }
    const uint64_t deadline_us = clock_monotonic_us() + END_US;
    lock(self);
    self->ending = true;
    while (self->list != NULL) {
        retire(&self->list);
    }
    while (self->threads > 0 && wait_until(self, &self->answered, deadline_us)) {
    }
    const bool ended = self->threads == 0;
    self->left_alone = !ended; /* a thread still needs it */
    unlock(self);
    if (ended && self->has_ended) {
        (void)pthread_join(self->ended, NULL); /* as above */
    }
    if (ended) {
        free_askers(self);
    }
    return ended;
}

static struct asker *
new_asker(struct api_askers *self, const struct api_place *place)
{
    struct asker *const asker = memory_array(1, sizeof(*asker));
    asker->askers = self;
    asker->place = (struct api_place){place->source, config_ref(place->config)};
    asker->references = 1;
    asker->next = self->list;
    init_condition(&asker->work);
    self->list = asker;
    self->count++;
    return asker;
}

/* Another section of the same name has been replaced by this one. */
static struct asker *
find_asker(struct api_askers *self, const struct api_place *place)
{
    for (struct asker **link = &self->list; *link != NULL; link = &(*link)->next) {
        if ((*link)->place.source == place->source) {
            return *link;
        }
        if (strcmp((*link)->place.source->name, place->source->name) == 0) {
            retire(link);
            break;
        }
    }
    return new_asker(self, place);
}

static void
forget_old(struct asker *asker, uint64_t now_us)
{
    size_t count = 0;
    for (const struct asked *asked = asker->asked; asked != NULL; asked = asked->next) {
        count++;
    }
    for (struct asked **link = &asker->asked; *link != NULL;) {
        struct asked *const asked = *link;
        const bool old = now_us - asked->done_us > fresh_us(asker, asked) + KEEP_US;
        if (asked->done && asked->waiters == 0 && (old || count > REMEMBERED_MAX)) {
            *link = asked->next;
            free_asked(asked);
            count--;
        } else {
            link = &asked->next;
        }
    }
}

static struct asked *
append(struct asker *asker, const struct api_question *question, const json_t *parameters)
{
    struct asked **link = &asker->asked;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = memory_array(1, sizeof(**link));
    (*link)->question = question;
    (*link)->parameters = json_deep_copy(parameters);
    api_json_must((*link)->parameters != NULL);
    return *link;
}

static struct asked *
find(const struct asker *asker, const struct api_question *question, const json_t *parameters)
{
    struct asked *asked = asker->asked;
    while (asked != NULL &&
           (asked->question != question || json_equal(asked->parameters, parameters) == 0)) {
        asked = asked->next;
    }
    return asked;
}

/* An answer that others may have: it is not there yet, or is fresh. */
static bool
is_good(const struct asker *asker, const struct asked *asked, uint64_t now_us)
{
    return !asked->done || (now_us - asked->done_us < fresh_us(asker, asked) &&
                            !(asked->question->act && asked->failed));
}

/* Asks, unless the same was asked. */
static struct asked *
put(struct asker *asker, const struct api_question *question, const json_t *parameters,
    bool *ret_again)
{
    const uint64_t now_us = clock_monotonic_us();
    struct asked *asked = find(asker, question, parameters);
    *ret_again = asked != NULL && is_good(asker, asked, now_us);
    if (*ret_again) {
        return asked;
    }
    if (asked == NULL) {
        asked = append(asker, question, parameters);
    }
    asked->asked_us = now_us;
    asked->taken = false;
    asked->done = false;
    return asked;
}

static void
see_to_thread(struct asker *asker, struct asked *asked)
{
    if (asker->running) {
        (void)pthread_cond_signal(&asker->work); /* as above */
        return;
    }
    const int failure = create_thread(asker);
    if (failure != 0) {
        asked->taken = true;
        asked->done = true;
        asked->done_us = clock_monotonic_us();
        asked->failed = true;
        (void)error_set(&asked->error, ERROR_TRANSIENT, "no thread to ask the database: %s",
                        strerror(failure)); /* always false */
        return;
    }
    asker->running = true;
    asker->references++;
    asker->askers->threads++;
}

static void
tell(const struct asked *asked, bool again, struct api_answer *ret_answer)
{
    const uint64_t now_us = clock_monotonic_us();
    *ret_answer = (struct api_answer){
        .document = json_deep_copy(asked->document), /* NULL for NULL */
        .age_us = asked->document == NULL ? 0 : now_us - asked->document_us,
        .current = asked->done && !asked->failed,
    };
    ret_answer->again = ret_answer->current && again;
    if (asked->failed) {
        ret_answer->error = asked->error; /* of the last attempt that is over */
    } else if (!asked->done) {
        ret_answer->waiting_us = now_us - asked->asked_us + 1;
        (void)error_set(&ret_answer->error, ERROR_TRANSIENT,
                        "the database has not answered for %.1f s",
                        (double)(now_us - asked->asked_us) / 1e6); /* always false */
    }
}

void
api_ask(struct api_askers *self, const struct api_place *place, const struct api_question *question,
        const json_t *parameters, uint64_t patience_us, struct api_answer *ret_answer)
{
    bool again;
    lock(self);
    struct asker *const asker = find_asker(self, place);
    forget_old(asker, clock_monotonic_us());
    struct asked *const asked = put(asker, question, parameters, &again);
    if (!asked->done && !asked->taken) {
        see_to_thread(asker, asked);
    }
    asker->references++;
    asked->waiters++;
    while (!asked->done && wait_until(self, &self->answered, asked->asked_us + patience_us)) {
    }
    tell(asked, again, ret_answer);
    asked->waiters--;
    release_asker(asker);
    unlock(self);
}

void
api_ask_all(struct api_askers *self, struct config *config, const char *only,
            const struct api_question *question, const json_t *parameters, uint64_t patience_us,
            struct api_answer *ret_answers)
{
    for (unsigned round = 0; round < 2; round++) { /* all are asked before one is waited for */
        for (size_t i = 0; i < config->source_count; i++) {
            const struct api_place place = {&config->sources[i], config};
            struct api_answer *const answer = &ret_answers[i];
            const bool meant = only == NULL || strcmp(only, place.source->name) == 0;
            if (round == 0) {
                *answer = (struct api_answer){0};
            }
            if (meant && !answer->current) {
                json_decref(answer->document);
                api_ask(self, &place, question, parameters, round == 0 ? 0 : patience_us, answer);
            }
        }
    }
}
