#include "relay/http/operators.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "relay/api/asker.h"
#include "relay/api/explain.h"
#include "relay/api/json.h"
#include "relay/api/questions.h"
#include "relay/api/text.h"
#include "relay/daemon/log.h"
#include "relay/http/status.h"

/* How long to wait for a database. */
#define LIST_US (2 * CLOCK_S_US)
#define LOOK_US (5 * CLOCK_S_US)
#define ACT_US (20 * CLOCK_S_US)
/* The name that came with a token. */
#define NAME_BYTES 65

#define JSON_TYPE "application/json"

/* The document is taken over. */
static void
answer_json(struct http_answer *answer, unsigned status, json_t *document)
{
    api_json_must(document != NULL);
    char *const body = json_dumps(document, JSON_COMPACT);
    api_json_must(body != NULL);
    json_decref(document);
    answer->status = status;
    answer->type = JSON_TYPE;
    answer->body = body;
    answer->size = strlen(body);
}

static void
answer_error(struct http_answer *answer, unsigned status, const char *words)
{
    json_t *const object = json_object();
    api_json_put(object, "error", api_json_text(words));
    answer_json(answer, status, object);
}

void
operators_status(const struct http_context *context, const struct http_request *request,
                 struct http_answer *answer)
{
    const char *const after = http_argument(request, "after");
    uint64_t number = 0;
    if (after != NULL && !text_parse_number(after, &number)) {
        answer_error(answer, 400, "after: expected a whole number");
        return;
    }
    answer_json(answer, 200, status_document(context->board, context->askers, number));
}

/* ---- asking some or all sources ------------------------------------------------------------------------- */

/* A question to the sources that a request means. */
struct inquiry {
    struct api_askers *askers;
    struct config *config;
    const char *source; /* NULL: all */
    const struct api_question *question;
    json_t *parameters;
    uint64_t patience_us;
};

/* NULL: there is none; that was answered. */
static const struct source_config *
find_source(const struct config *config, const char *name, struct http_answer *answer)
{
    for (size_t i = 0; i < config->source_count; i++) {
        if (strcmp(config->sources[i].name, name) == 0) {
            return &config->sources[i];
        }
    }
    answer_error(answer, 404, "there is no source of this name");
    return NULL;
}

/* The arguments with these names that are not empty. NULL: one is no text; that was answered. */
static json_t *
arguments(const struct http_request *request, const char *const *names, struct http_answer *answer)
{
    json_t *const object = json_object();
    for (; *names != NULL; names++) {
        const char *const text = http_argument(request, *names);
        if (text == NULL || *text == '\0') {
            continue;
        }
        json_t *const value = json_string(text);
        if (value == NULL) {
            answer_error(answer, 400, "the arguments are not in UTF-8");
            json_decref(object);
            return NULL;
        }
        api_json_put(object, *names, value);
    }
    return object;
}

/* Begins the inquiry; takes the parameters over. False: it was answered, and there is nothing to end. */
static bool
begin(const struct http_context *context, const struct http_request *request, json_t *parameters,
      struct inquiry *inquiry, struct http_answer *answer)
{
    const char *const source = http_argument(request, "source");
    inquiry->askers = context->askers;
    inquiry->config = board_config(context->board);
    inquiry->source = source == NULL || *source == '\0' ? NULL : source;
    inquiry->parameters = parameters;
    if (inquiry->source != NULL && find_source(inquiry->config, inquiry->source, answer) == NULL) {
        json_decref(parameters);
        config_free(inquiry->config);
        return false;
    }
    return true;
}

static void
end(const struct inquiry *inquiry)
{
    json_decref(inquiry->parameters);
    config_free(inquiry->config);
}

/* Calls `take` for each source that is meant, with its answer, which it takes over. */
static void
inquire(const struct inquiry *inquiry,
        void (*take)(void *context, const char *source, const struct api_answer *answer),
        void *context)
{
    struct config *const config = inquiry->config;
    struct api_answer *const answers = memory_array(config->source_count + 1, sizeof(*answers));
    api_ask_all(inquiry->askers, config, inquiry->source, inquiry->question, inquiry->parameters,
                inquiry->patience_us, answers);
    for (size_t i = 0; i < config->source_count; i++) {
        const char *const name = config->sources[i].name;
        if (inquiry->source != NULL && strcmp(inquiry->source, name) != 0) {
            continue;
        }
        if (!answers[i].current) { /* what is older is of no use here */
            json_decref(answers[i].document);
            answers[i].document = NULL;
        }
        take(context, name, &answers[i]);
    }
    memory_free(answers);
}

/* Moves what is in the array `name` of the document. */
static void
move_all(json_t *array, const json_t *document, const char *name)
{
    size_t i;
    json_t *element;
    json_array_foreach(json_object_get(document, name), i, element)
    {
        api_json_append(array, json_incref(element));
    }
}

/* ---- held messages -------------------------------------------------------------------------------------- */

struct list {
    json_t *messages;
    json_t *sources;
};

static void
take_list(void *context, const char *source, const struct api_answer *answer)
{
    const struct list *const list = context;
    json_t *const part = json_object();
    api_json_put(part, "source", json_string(source));
    api_json_put(part, "error", answer->current ? json_null() : api_json_text(answer->error.text));
    if (answer->document != NULL) {
        move_all(list->messages, answer->document, "messages");
        (void)json_object_del(answer->document, "messages"); /* it was there */
        api_json_must(json_object_update(part, answer->document) == 0);
        json_decref(answer->document);
    }
    api_json_append(list->sources, part);
}

void
operators_held(const struct http_context *context, const struct http_request *request,
               struct http_answer *answer)
{
    static const char *const names[] = {"state", "key",   "type",  "reason", "older_than",
                                        "after", "limit", "count", NULL};
    struct inquiry inquiry = {.question = &api_question_held_list, .patience_us = LIST_US};
    struct error error;
    json_t *const parameters = arguments(request, names, answer);
    if (parameters == NULL || !begin(context, request, parameters, &inquiry, answer)) {
        return;
    }
    if (!api_check_held_list(parameters, &error)) {
        answer_error(answer, 400, error.text);
    } else if (json_object_get(parameters, "after") != NULL && inquiry.source == NULL) {
        answer_error(answer, 400, "after: needs a source, since each has ids of its own");
    } else {
        struct list list = {json_array(), json_array()};
        json_t *const document = json_object();
        inquire(&inquiry, take_list, &list);
        api_json_put(document, "messages", list.messages);
        api_json_put(document, "sources", list.sources);
        answer_json(answer, 200, document);
    }
    end(&inquiry);
}

/* What was found, and the sources that could not be asked. */
struct search {
    json_t *found;
    json_t *errors;
    const char *member; /* of a document, where what was found is */
    bool known;
};

static void
take_found(void *context, const char *source, const struct api_answer *answer)
{
    struct search *const search = context;
    if (answer->document != NULL) {
        move_all(search->found, answer->document, search->member);
        search->known |= json_is_true(json_object_get(answer->document, "known"));
        json_decref(answer->document);
    }
    if (!answer->current) {
        json_t *const part = json_object();
        api_json_put(part, "source", json_string(source));
        api_json_put(part, "error", api_json_text(answer->error.text));
        api_json_append(search->errors, part);
    }
}

static json_t *
id_parameter(const char *id)
{
    json_t *const value = id == NULL ? NULL : json_string(id);
    json_t *const object = json_object();
    if (value != NULL) { /* else it is none, which is found out */
        api_json_put(object, "id", value);
    }
    return object;
}

/* Looks for the message `id`. False: it was answered. */
static bool
look_for(const struct http_context *context, const struct http_request *request, const char *id,
         const struct api_question *question, struct search *search, struct http_answer *answer)
{
    struct inquiry inquiry = {.question = question, .patience_us = LOOK_US};
    struct error error;
    if (!begin(context, request, id_parameter(id), &inquiry, answer)) {
        return false;
    }
    const bool good = api_check_id(inquiry.parameters, &error);
    if (good) {
        search->found = json_array();
        search->errors = json_array();
        inquire(&inquiry, take_found, search);
    } else {
        answer_error(answer, 400, error.text);
    }
    end(&inquiry);
    return good;
}

void
operators_message(const struct http_context *context, const struct http_request *request,
                  struct http_answer *answer)
{
    struct search search = {.member = "messages"};
    if (!look_for(context, request, request->rest, &api_question_held_show, &search, answer)) {
        return;
    }
    if (json_array_size(search.found) > 0) {
        answer_json(answer, 200, json_incref(search.found));
    } else if (json_array_size(search.errors) > 0) {
        const json_t *const first = json_array_get(search.errors, 0);
        answer_error(answer, 503, json_string_value(json_object_get(first, "error")));
    } else {
        answer_error(answer, 404, "no held message has this id; explain says where it is");
    }
    json_decref(search.found);
    json_decref(search.errors);
}

void
operators_explain(const struct http_context *context, const struct http_request *request,
                  struct http_answer *answer)
{
    struct search search = {.member = "stories"};
    const char *const id = http_argument(request, "id");
    const char *const name = id != NULL ? id : http_argument(request, "message_id");
    if (!look_for(context, request, name, &api_question_explain, &search, answer)) {
        return;
    }
    if (search.known) {
        api_explain_keep_known(search.found);
    }
    json_t *const document = json_object();
    api_json_put(document, "stories", search.found);
    api_json_put(document, "errors", search.errors);
    answer_json(answer, 200, document);
}

/* ---- acts ----------------------------------------------------------------------------------------------- */

static int
hex_value(char digit)
{
    const char *const digits = "0123456789abcdef";
    const char *const at = digit == '\0' ? NULL : strchr(digits, tolower((unsigned char)digit));
    return at == NULL ? -1 : (int)(at - digits);
}

/* A header has no characters beyond ASCII, so a name with others comes percent-encoded. */
static void
decode_name(const char *text, char ret_name[NAME_BYTES])
{
    size_t size = 0;
    for (; *text != '\0' && size < NAME_BYTES - 1; text++) {
        if (*text == '%' && hex_value(text[1]) >= 0 && hex_value(text[2]) >= 0) {
            ret_name[size++] = (char)(hex_value(text[1]) * 16 + hex_value(text[2]));
            text += 2;
        } else {
            ret_name[size++] = *text;
        }
    }
    ret_name[size] = '\0';
}

/* "http: Ada (127.0.0.1)", "http: 127.0.0.1" */
static json_t *
who_json(const struct http_request *request)
{
    const char *const given = http_header(request, "Outbox-Who");
    char name[NAME_BYTES] = "";
    if (given != NULL) {
        decode_name(given, name);
    }
    char *const clean = api_text_clean(name);
    json_t *const who = *clean == '\0' ? json_sprintf("http: %s", request->peer)
                                       : json_sprintf("http: %s (%s)", clean, request->peer);
    api_json_must(who != NULL);
    memory_free(clean);
    return who;
}

/* The body: an object of which api_check_act knows the members. NULL: it was answered. */
static json_t *
act_parameters(const struct http_request *request, struct http_answer *answer)
{
    struct error error;
    json_t *const body = request->body == NULL ? NULL
                                               : json_loadb(request->body, request->body_size,
                                                            JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(body)) {
        answer_error(answer, 400, "the body must be an object in JSON");
    } else if (!json_is_string(json_object_get(body, "source"))) {
        answer_error(answer, 400, "source: expected a text");
    } else if (!api_check_act(body, &error)) {
        answer_error(answer, 400, error.text);
    } else {
        api_json_put(body, "who", who_json(request));
        return body;
    }
    json_decref(body);
    return NULL;
}

static void
log_act(const struct api_question *question, const json_t *parameters, const json_t *document)
{
    const json_t *const text = json_array_get(json_object_get(document, "text"), 0);
    log_info("held_act", LOG_WORDS(json_string_value(text)),
             LOG_STR("source", json_string_value(json_object_get(document, "source"))),
             LOG_STR("what", question->name),
             LOG_STR("who", json_string_value(json_object_get(parameters, "who"))));
}

/* The relay's account needs no right to act for its own work, so it may lack it. */
static void
answer_failure(const struct error *error, struct http_answer *answer)
{
    char words[sizeof(error->text) + 200];
    const bool denied = strstr(error->text, "denied") != NULL;
    (void)snprintf(words, sizeof(words), "%s%s", error->text,
                   denied ? " (over HTTP the relay acts with its own account of the database: for "
                            "this it needs the role outbox_operator too)"
                          : ""); /* fits */
    answer_error(answer, 503, words);
}

/* Takes the document over. */
static void
answer_act(const struct api_answer *done, struct http_answer *answer)
{
    if (!done->current) {
        json_decref(done->document);
        answer_failure(&done->error, answer);
        return;
    }
    const bool refused = json_object_get(done->document, "refused") != NULL;
    api_json_put(done->document, "again", json_boolean(done->again));
    answer_json(answer, refused ? 409 : 200, done->document);
}

static void
act(const struct http_context *context, const struct http_request *request,
    const struct api_question *question, struct http_answer *answer)
{
    json_t *const parameters = act_parameters(request, answer);
    if (parameters == NULL) {
        return;
    }
    struct config *const config = board_config(context->board);
    const char *const name = json_string_value(json_object_get(parameters, "source"));
    const struct api_place place = {find_source(config, name, answer), config};
    if (place.source != NULL) {
        struct api_answer done;
        api_ask(context->askers, &place, question, parameters, ACT_US, &done);
        if (done.current && !done.again && json_object_get(done.document, "refused") == NULL) {
            log_act(question, parameters, done.document);
        }
        answer_act(&done, answer);
    }
    json_decref(parameters);
    config_free(config);
}

void
operators_retry(const struct http_context *context, const struct http_request *request,
                struct http_answer *answer)
{
    act(context, request, &api_question_held_retry, answer);
}

void
operators_discard(const struct http_context *context, const struct http_request *request,
                  struct http_answer *answer)
{
    act(context, request, &api_question_held_discard, answer);
}
