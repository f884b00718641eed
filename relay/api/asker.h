/* relay/api/asker.h - asks the databases of sources for whoever must not wait for them. Each source that is asked gets a
 * thread and a session of its own, for as long as questions come, so a database that is away delays only what is asked of
 * it. Whoever asks waits until a deadline, and then has the last answer, if there is one.
 *
 * With very many sources some take turns: there are 16 sessions at most, unless databases hang, and answers are good for
 * longer, so that a page that looks at all of them costs the servers little.
 *
 * The same question with the same parameters is asked once: those who ask it while it is being answered share the answer,
 * and so do those who come shortly after. An act whose parameters have a name of their own for it is therefore done once,
 * however often it is asked for. */
#ifndef RELAY_API_ASKER_H
#define RELAY_API_ASKER_H

#include <jansson.h>

#include "relay/config/config.h"
#include "relay/ports/admin.h"

/* A source, and the configuration that it belongs to, which may be replaced meanwhile: a reference is kept. */
struct api_place {
    const struct source_config *source;
    struct config *config;
};

/* Something that can be asked of a source (questions.h). */
struct api_question {
    const char *name;
    /* Called in the source's thread: a document for json_decref, or false with *reterr. */
    bool (*answer)(const struct source_config *source, struct admin *admin,
                   const json_t *parameters, json_t **ret_document, struct error *reterr);
    uint64_t fresh_us; /* how long an answer is good for others who ask the same */
    bool act;          /* changes something: when it failed, it is not tried again by itself */
};

struct api_answer {
    json_t *document; /* the caller's own; NULL: there was never one */
    uint64_t age_us;  /* of the document */
    /* It is the answer to this question, not to an earlier one that took too long or failed. */
    bool current;
    bool again;          /* current, and somebody else asked the same before */
    uint64_t waiting_us; /* for so long the database has not answered; 0: it has */
    struct error error;  /* why it is not current */
};

struct api_askers;

struct api_askers *api_askers_new(void);

/* Nobody may ask any more. Waits for the threads, but not for long. False: a database hangs, and its thread with it, which
 * goes on using the askers and its configuration. Takes NULL. */
bool api_askers_free(struct api_askers *askers) MUST_CHECK;

/* Waits until there is an answer, or until it was asked `patience_us` ago, by whomever: so only the first one waits for a
 * database that hangs. 0: only sees to it that it is asked. parameters: an object. The caller frees
 * ret_answer->document. Any thread. */
void api_ask(struct api_askers *askers, const struct api_place *place,
             const struct api_question *question, const json_t *parameters, uint64_t patience_us,
             struct api_answer *ret_answer);

/* The same of all sources of a configuration, or of one (only: its name; NULL: all), at the same time. ret_answers: one for
 * each section, all zero where it was not asked. */
void api_ask_all(struct api_askers *askers, struct config *config, const char *only,
                 const struct api_question *question, const json_t *parameters,
                 uint64_t patience_us, struct api_answer *ret_answers);

#endif
