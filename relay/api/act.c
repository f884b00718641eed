#include "relay/api/act.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "relay/api/filter.h"
#include "relay/api/held.h"
#include "relay/api/json.h"
#include "relay/api/text.h"

#define SENTENCE_BYTES 200

struct act {
    struct admin *admin;
    const json_t *parameters;
    bool discard;
    struct admin_filter filter;
    /* The messages that are meant: exactly these, whatever else is held meanwhile. */
    struct admin_ids ids;
    struct admin_counts found; /* of them, what is held */
    uint64_t asked;            /* how many were named, or match */
    json_t *document;
    json_t *text;
};

static void say(const struct act *act, const char *format, ...) PRINTF_LIKE(2, 3);

static void
say(const struct act *act, const char *format, ...)
{
    char sentence[SENTENCE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* fits: words and numbers */
    va_end(arguments);
    api_json_append(act->text, json_string(sentence));
}

static void
put_number(const struct act *act, const char *name, uint64_t number)
{
    api_json_put(act->document, name, json_integer((json_int_t)number));
}

static void
take_named(struct act *act, const json_t *ids)
{
    size_t i;
    json_t *id;
    act->ids.items = memory_array(json_array_size(ids), sizeof(*act->ids.items));
    json_array_foreach(ids, i, id)
    {
        act->ids.items[act->ids.count++] = json_integer_value(id);
    }
    act->asked = act->ids.count;
    act->filter = (struct admin_filter){.ids = &act->ids};
}

/* Finds which messages are held of those that are meant, and fixes their ids. */
static bool
choose(struct act *act, struct error *reterr)
{
    const json_t *const named = json_object_get(act->parameters, "ids");
    struct admin_ids ids;
    if (named != NULL) {
        take_named(act, named);
    } else {
        api_filter(json_object_get(act->parameters, "filter"), &act->filter);
    }
    if (!admin_held_count(act->admin, &act->filter, &act->found, &ids, reterr)) {
        return false;
    }
    memory_free(act->ids.items);
    act->ids = ids;
    act->filter.ids = &act->ids;
    act->asked = named == NULL ? ids.count : act->asked;
    return true;
}

/* What the operator saw has changed: nothing is done to messages that nobody saw. */
static bool
is_other_than_seen(const struct act *act)
{
    const json_t *const count = json_object_get(act->parameters, "count");
    char text[SENTENCE_BYTES];
    if (json_object_get(act->parameters, "ids") != NULL ||
        (uint64_t)json_integer_value(count) == act->asked) {
        return false;
    }
    (void)snprintf(text, sizeof(text),
                   "Nothing was done: %" PRIu64 " message%s match%s now, not %" JSON_INTEGER_FORMAT
                   ". Look again.",
                   act->asked, api_text_plural(act->asked), act->asked == 1 ? "es" : "",
                   json_integer_value(count)); /* fits */
    api_json_put(act->document, "refused", json_string(text));
    return true;
}

static void
tell(const struct act *act, const struct admin_done *done)
{
    const uint64_t acted = admin_counts_sum(&done->counts);
    const uint64_t left = act->discard ? 0 : act->found.waiting;
    const uint64_t gone = act->asked > acted + left ? act->asked - acted - left : 0;
    put_number(act, "left", left);
    put_number(act, "gone", gone);
    put_number(act, "freed", done->freed);
    api_json_put(act->document, "done", api_held_json_counts(&done->counts));
    if (acted > 0 || (left == 0 && gone == 0)) {
        say(act, "%" PRIu64 " message%s %s %s.", acted, api_text_plural(acted),
            acted == 1 ? "is" : "are", act->discard ? "discarded" : "tried again at once");
    }
    if (left > 0) {
        say(act,
            "%" PRIu64 " wait%s behind another message of the key, and go%s when that has gone.",
            left, left == 1 ? "s" : "", left == 1 ? "es" : "");
    }
    if (gone > 0) {
        say(act, "%" PRIu64 " %s not held any more, or changed meanwhile.", gone,
            gone == 1 ? "is" : "are");
    }
    if (done->freed > 0) {
        say(act, "%" PRIu64 " key%s on: the messages that waited are sent next.", done->freed,
            done->freed == 1 ? " goes" : "s go");
    }
}

static bool
carry_out(const struct act *act, struct error *reterr)
{
    struct admin_done done = {.freed = 0};
    struct admin_counts wanted = act->found;
    const char *const who = json_string_value(json_object_get(act->parameters, "who"));
    if (!act->discard) {
        wanted.waiting = 0; /* one must not be sent before those that it waits for */
    }
    if (admin_counts_sum(&wanted) > 0 &&
        !(act->discard ? admin_held_discard(act->admin, &act->filter, who, &done, reterr)
                       : admin_held_retry(act->admin, &act->filter, who, &done, reterr))) {
        return false;
    }
    tell(act, &done);
    return true;
}

static bool
act_on(const struct source_config *source, struct act *act, json_t **ret_document,
       struct error *reterr)
{
    act->document = json_object();
    act->text = json_array();
    api_json_put(act->document, "source", json_string(source->name));
    api_json_put(act->document, "text", act->text);
    const bool good = choose(act, reterr) && (is_other_than_seen(act) || carry_out(act, reterr));
    memory_free(act->ids.items);
    if (good) {
        *ret_document = act->document;
    } else {
        json_decref(act->document);
    }
    return good;
}

bool
api_act_retry(const struct source_config *source, struct admin *admin, const json_t *parameters,
              json_t **ret_document, struct error *reterr)
{
    struct act act = {.admin = admin, .parameters = parameters};
    return act_on(source, &act, ret_document, reterr);
}

bool
api_act_discard(const struct source_config *source, struct admin *admin, const json_t *parameters,
                json_t **ret_document, struct error *reterr)
{
    struct act act = {.admin = admin, .parameters = parameters, .discard = true};
    return act_on(source, &act, ret_document, reterr);
}
