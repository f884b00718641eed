#include "relay/api/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "relay/api/held.h"
#include "relay/api/json.h"
#include "relay/api/text.h"
#include "relay/ports/admin_explain.h"
#include "relay/ports/admin_status.h"

#define SENTENCE_BYTES 1024

/* Whom to ask. */
struct asked {
    const struct source_config *source;
    struct admin *admin;
};

/* The sentences about one message. */
struct story {
    const struct asked *asked;
    const struct admin_findings *findings;
    const struct admin_status *status;
    json_t *document; /* sentences in "text"; "where" is one word */
    json_t *text;
};

static void say(struct story *story, const char *format, ...) PRINTF_LIKE(2, 3);

static void
say(struct story *story, const char *format, ...)
{
    char sentence[SENTENCE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* a very long key is cut */
    va_end(arguments);
    char *const clean = api_text_clean(sentence);
    api_json_append(story->text, json_string(clean));
    memory_free(clean);
}

static struct story
begin(const struct asked *asked, const struct admin_findings *findings,
      const struct admin_status *status)
{
    struct story story = {asked, findings, status, json_object(), json_array()};
    api_json_put(story.document, "source", json_string(asked->source->name));
    return story;
}

static void
end(struct story *story, const char *where, json_t *stories)
{
    api_json_put(story->document, "where", json_string(where));
    api_json_put(story->document, "text", story->text);
    api_json_append(stories, story->document);
}

static void
name_message(struct story *story, int64_t id, const char *message_id)
{
    api_json_put(story->document, "id", json_integer(id));
    api_json_put(story->document, "message_id", json_string(message_id));
}

/* "2026-11-23 10:00:00+01:00 (3 min ago)" or "(in 3 min)" */
#define WHEN_BYTES (API_TIME_BYTES + API_AGE_BYTES + 8)

static const char *
when(const struct story *story, int64_t at_us, char text[WHEN_BYTES])
{
    char time[API_TIME_BYTES];
    char age[API_AGE_BYTES];
    if (at_us == ADMIN_NO_TIME) {
        return "a time that never comes";
    }
    const int64_t ago_us = story->status->now_us - at_us;
    api_text_time(at_us, time);
    if (ago_us < 0) {
        api_text_until(-ago_us, age);
        (void)snprintf(text, WHEN_BYTES, "%s (%s)", time, age); /* fits */
    } else {
        api_text_age(ago_us, age);
        (void)snprintf(text, WHEN_BYTES, "%s (%s ago)", time, age); /* fits */
    }
    return text;
}

/* "12 messages", "more than 1000000 messages" */
static const char *
messages(uint64_t count, char text[64])
{
    if (count > ADMIN_MANY) {
        (void)snprintf(text, 64, "more than %d messages", ADMIN_MANY); /* fits */
    } else {
        (void)snprintf(text, 64, "%" PRIu64 " message%s", count, api_text_plural(count)); /* fits */
    }
    return text;
}

/* Says what stops all messages of this source, if anything does. */
static void
say_what_stops_all(struct story *story)
{
    const struct admin_status *const status = story->status;
    char text[WHEN_BYTES];
    if (admin_status_owner(status) == NULL) {
        say(story, status->sessions.count > 0
                       ? "No relay owns the outbox; a standby is about to take it over."
                       : "No relay is running for this source: start one with `outbox-relay run`.");
        return;
    }
    if (!admin_status_is_owners(status)) {
        say(story, "A relay owns the outbox, but it has not reported its state yet.");
        return;
    }
    if (!admin_status_is_current(status)) {
        say(story, "The relay that owns the outbox last reported its state at %s.",
            when(story, status->relay.updated_us, text));
    }
    if (status->relay.paused_reason != NULL) {
        say(story, "The relay is paused since %s: %s",
            when(story, status->relay.paused_since_us, text), status->relay.paused_reason);
    }
}

/* Only acts on this message: another message in another table may have the same row id. */
static void
say_acts(struct story *story, const char *message_id)
{
    const struct admin_acts *const acts = &story->findings->acts;
    char text[WHEN_BYTES];
    for (size_t i = 0; i < acts->count; i++) {
        if (message_id != NULL && strcmp(acts->acts[i].message_id, message_id) != 0) {
            continue;
        }
        const bool discard = strcmp(acts->acts[i].what, "discard") == 0;
        say(story, "It was %s by %s at %s, when it was %s.", discard ? "discarded" : "retried",
            acts->acts[i].who, when(story, acts->acts[i].at_us, text), acts->acts[i].state);
    }
    if (acts->count > 0) {
        api_json_put(story->document, "acts", api_held_json_acts(acts));
    }
}

/* "refused 3 times, next tried at …"; `it` is how the sentence begins. */
static void
say_attempts(struct story *story, const char *it, const struct admin_message *message)
{
    char text[WHEN_BYTES];
    char refused[64] = "";
    const bool due = message->next_attempt_us <= story->status->now_us;
    if (message->attempts > 0) {
        (void)snprintf(refused, sizeof(refused), "was refused %" PRIu32 " time%s; it ",
                       message->attempts, api_text_plural(message->attempts)); /* fits */
    }
    say(story, "%s %s%s %s.", it, refused, due ? "has been due since" : "is tried next at",
        when(story, message->next_attempt_us, text));
    if (message->last_error != NULL) {
        say(story, "Last answer: %s", message->last_error);
    }
}

static void
say_head(struct story *story, const struct admin_message *head)
{
    if (strcmp(head->state, "dead") != 0) {
        say_attempts(story, "That one", head);
        return;
    }
    say(story, "That one is dead, refused %" PRIu32 " time%s.", head->attempts,
        api_text_plural(head->attempts));
    if (head->last_error != NULL) {
        say(story, "Last answer: %s", head->last_error);
    }
    say(story,
        "`outbox-relay held retry %" PRId64 "` tries it again; `outbox-relay held discard %" PRId64
        "` lets its key go on without it.",
        head->id, head->id);
}

/* Says what holds the key back. *ret_held: something does. */
static bool
say_key(struct story *story, const struct admin_pending *pending, struct error *reterr,
        bool *ret_held)
{
    struct admin_place place = {0};
    if (pending->escaped) {
        say(story, "One of its texts has characters that do not exist in UTF-8, so it will be "
                   "held; whether its key is kept back already is therefore not known.");
    } else if (pending->key != NULL &&
               !admin_held_place(story->asked->admin, pending->key, pending->id, &place, reterr)) {
        return false;
    }
    *ret_held = place.head.count > 0;
    if (*ret_held) {
        const struct admin_message *const head = &place.head.messages[0];
        say(story,
            "Its key is kept back by id %" PRId64
            " (message %s), which is held: the relay sets it aside behind that one.",
            head->id, head->message_id);
        say_head(story, head);
    }
    admin_place_free(&place);
    return true;
}

static void
say_in_flight(struct story *story)
{
    const struct admin_relay *const relay = &story->status->relay;
    char text[WHEN_BYTES];
    char count[64];
    say(story,
        "It is published, or about to be, and waits for the broker's confirm: %s in flight, the "
        "oldest published at "
        "%s.",
        messages(relay->in_flight, count), when(story, relay->in_flight_since_us, text));
}

static void
say_before(struct story *story, const char *beginning, uint64_t before)
{
    char count[64];
    if (before == 0) {
        say(story, "%s nothing is before it.", beginning);
    } else {
        say(story, "%s %s %s before it.", beginning, messages(before, count),
            before == 1 ? "is" : "are");
    }
}

/* Says how far the relay is with the message; gives the word for it. */
static const char *
say_progress(struct story *story, const struct admin_pending *pending)
{
    const struct admin_relay *const relay = &story->status->relay;
    const bool known = admin_status_is_current(story->status);
    if (known && relay->in_flight > 0 && relay->published_up_to >= pending->id) {
        say_in_flight(story);
        return "in_flight";
    }
    if (known && relay->read_up_to >= pending->id) {
        say(story,
            "The relay has read up to id %" PRId64
            ", so it has it or finds it soon, and sends it in its turn.",
            relay->read_up_to);
        return "outbox";
    }
    say_before(story, "The relay has not read it yet;", pending->before);
    return "outbox";
}

static bool
tell_pending(struct story *story, const struct admin_pending *pending, const char **ret_where,
             struct error *reterr)
{
    char text[WHEN_BYTES];
    bool held = false;
    name_message(story, pending->id, pending->message_id);
    say(story, "It is in the outbox, written at %s: committed, not confirmed by the broker.",
        when(story, pending->created_us, text));
    *ret_where = "outbox";
    if (pending->scheduled) {
        *ret_where = "scheduled";
        say(story, "It is scheduled: it is not sent before %s.",
            when(story, pending->deliver_after_us, text));
        return true;
    }
    say_what_stops_all(story);
    if (!say_key(story, pending, reterr, &held)) {
        return false;
    }
    if (admin_status_owner(story->status) == NULL) {
        say_before(story, "In the outbox", pending->before);
    } else if (!held) {
        *ret_where = say_progress(story, pending);
    }
    return true;
}

static void
tell_retrying(struct story *story, const struct admin_message *message)
{
    say_attempts(story, "It", message);
    if (message->skipped) {
        say(story, "Later messages of its key are sent without waiting for it.");
    }
}

static void
tell_dead(struct story *story, const struct admin_message *message)
{
    say(story, "It is dead: it was refused %" PRIu32 " time%s and is not tried again by itself.",
        message->attempts, api_text_plural(message->attempts));
    if (message->last_error != NULL) {
        say(story, "Last answer: %s", message->last_error);
    }
    if (message->key != NULL) {
        say(story, message->skipped ? "Later messages of its key are sent without waiting for it."
                                    : "Later messages of its key wait behind it.");
    }
    say(story,
        "`outbox-relay held retry %" PRId64 "` tries it again, `outbox-relay held discard %" PRId64
        "` deletes it.",
        message->id, message->id);
}

static bool
tell_waiting(struct story *story, const struct admin_message *message, struct error *reterr)
{
    struct admin_place place = {0};
    char count[64];
    if (message->escaped) {
        say(story,
            "It waits behind another message of its key. Which one is not known, because one "
            "of its texts has characters that do not exist in UTF-8.");
        return true;
    }
    if (!admin_held_place(story->asked->admin, message->key, message->id, &place, reterr)) {
        return false;
    }
    if (place.head.count == 0) {
        say(story,
            "It waits behind no held message any more: a running relay moves it to the outbox.");
    } else {
        const struct admin_message *const head = &place.head.messages[0];
        say(story, "It waits behind id %" PRId64 " (message %s) of its key \"%s\"%s%s.", head->id,
            head->message_id, message->key, place.before == 0 ? "" : ", and between them ",
            place.before == 0 ? "" : messages(place.before, count));
        say_head(story, head);
    }
    admin_place_free(&place);
    return true;
}

static bool
tell_held(struct story *story, const struct admin_message *message, struct error *reterr)
{
    char text[WHEN_BYTES];
    bool good = true;
    name_message(story, message->id, message->message_id);
    say(story, "It is held since %s: %s.", when(story, message->held_us, text),
        api_held_state(message));
    if (strcmp(message->state, "dead") == 0) {
        tell_dead(story, message);
    } else {
        if (strcmp(message->state, "scheduled") == 0) {
            say(story, "It is scheduled to be sent at %s.",
                when(story, message->next_attempt_us, text));
        } else if (strcmp(message->state, "retrying") == 0) {
            tell_retrying(story, message);
        } else {
            good = tell_waiting(story, message, reterr);
        }
        say_what_stops_all(story);
    }
    say_acts(story, message->message_id);
    api_json_put(story->document, "held", api_held_json(story->asked->source->name, message));
    return good;
}

static void
tell_sent(struct story *story)
{
    const struct admin_sent *const sent = &story->findings->sent;
    char text[WHEN_BYTES];
    name_message(story, sent->id, sent->message_id);
    say(story, "It was sent at %s, and confirmed by the broker.", when(story, sent->at_us, text));
    api_json_put(story->document, "sent_at", api_json_time(sent->at_us));
    say_acts(story, sent->message_id);
}

/* The last act was to discard it, and it was not written and sent again since. */
static bool
is_discarded(const struct admin_findings *findings)
{
    const struct admin_acts *const acts = &findings->acts;
    const struct admin_act *const last = acts->count > 0 ? &acts->acts[acts->count - 1] : NULL;
    return last != NULL && strcmp(last->what, "discard") == 0 &&
           findings->sent.at_us <= last->at_us;
}

static void
say_writers(struct story *story)
{
    const struct admin_findings *const findings = story->findings;
    json_t *const array = json_array();
    for (size_t i = 0; i < findings->writer_count; i++) {
        const struct admin_writer *const writer = &findings->writers[i];
        char text[WHEN_BYTES];
        const char *const since =
            writer->since_us == ADMIN_NO_TIME ? "?" : when(story, writer->since_us, text);
        const char *const role = writer->role == NULL ? "?" : writer->role;
        if (writer->gid != NULL) {
            say(story, "Prepared transaction \"%s\" of role %s may have it, open since %s.",
                writer->gid, role, since);
        } else {
            say(story,
                "Session %s (\"%s\", role %s) may have it in its transaction, open since %s.",
                writer->pid, writer->application, role, since);
        }
        json_t *const object = json_object();
        api_json_put(object, "session", api_json_text(*writer->pid == '\0' ? NULL : writer->pid));
        api_json_put(object, "prepared", api_json_text(writer->gid));
        api_json_put(object, "application", api_json_text(writer->application));
        api_json_put(object, "role", api_json_text(writer->role));
        api_json_put(object, "since", api_json_time(writer->since_us));
        api_json_append(array, object);
    }
    if (findings->writers_unknown != NULL) {
        say(story, "Which transactions may have it is not known: %s.", findings->writers_unknown);
    }
    api_json_put(story->document, "writers", array);
}

/* What the record of what was sent says of a message that is not in it. That never shows that it was not sent: the record begins
 * some time ago, and has a gap for each time in which a relay did not write it. */
static void
say_not_recorded(struct story *story)
{
    const struct admin_sent *const sent = &story->findings->sent;
    const bool any = sent->since_us != ADMIN_NO_TIME;
    char text[WHEN_BYTES];
    api_json_put(story->document, "sent_known_since", api_json_time(sent->since_us));
    if (sent->unknown[0] != '\0') {
        say(story, "What was sent is not known: %s.", sent->unknown);
    } else if (any) {
        say(story, "There is no record that it was sent; records reach back to %s.",
            when(story, sent->since_us, text));
    } else {
        say(story, "There is no record of anything that was sent.");
    }
    if (story->asked->source->keep_sent_us == 0) {
        say(story, "The relay records nothing (keep_sent = 0).");
    }
    say(story,
        "Either it was sent %swhile nothing was recorded, or somebody deleted it, or it was never "
        "written, or its transaction was rolled back or is not over.",
        any ? "before that, or " : "");
    if (story->asked->source->tableless) {
        say(story, "If outbox_emit wrote it, the relay may not have read it from the log yet.");
    }
}

static void
tell_unknown(struct story *story)
{
    say(story, "It is neither in the outbox nor held.");
    say_acts(story, NULL);
    say_not_recorded(story);
    say_writers(story);
}

/* Tells everything that one database knows. False if it could not be asked. */
static bool
tell(const struct asked *asked, const struct admin_findings *findings,
     const struct admin_status *status, json_t *stories, bool *ret_known, struct error *reterr)
{
    bool good = true;
    for (size_t i = 0; i < findings->pending_count && good; i++) {
        struct story story = begin(asked, findings, status);
        const char *where = "outbox";
        good = tell_pending(&story, &findings->pending[i], &where, reterr);
        say_acts(&story, findings->pending[i].message_id);
        end(&story, where, stories);
    }
    for (size_t i = 0; i < findings->held.count && good; i++) {
        struct story story = begin(asked, findings, status);
        good = tell_held(&story, &findings->held.messages[i], reterr);
        end(&story, findings->held.messages[i].state, stories);
    }
    *ret_known = findings->pending_count + findings->held.count > 0;
    if (*ret_known || !good) {
        return good;
    }
    struct story story = begin(asked, findings, status);
    *ret_known = true;
    if (is_discarded(findings)) {
        const struct admin_act *const last = &findings->acts.acts[findings->acts.count - 1];
        name_message(&story, last->held_id, last->message_id);
        say_acts(&story, last->message_id);
        end(&story, "discarded", stories);
    } else if (findings->sent.at_us != ADMIN_NO_TIME) {
        tell_sent(&story);
        end(&story, "sent", stories);
    } else {
        *ret_known = false;
        tell_unknown(&story);
        end(&story, "unknown", stories);
    }
    return true;
}

bool
api_explain(const struct source_config *source, struct admin *admin, const struct admin_name *name,
            json_t *stories, bool *ret_known, struct error *reterr)
{
    const struct asked asked = {source, admin};
    struct admin_findings findings;
    struct admin_status status;
    if (!admin_explain(admin, name, &findings, reterr)) {
        return false;
    }
    bool good = admin_status_get(admin, &status, reterr);
    if (good) {
        good = tell(&asked, &findings, &status, stories, ret_known, reterr);
        admin_status_free(&status);
    }
    admin_findings_free(&findings);
    return good;
}

void
api_explain_keep_known(json_t *stories)
{
    for (size_t i = json_array_size(stories); i > 0; i--) {
        const json_t *const where = json_object_get(json_array_get(stories, i - 1), "where");
        if (strcmp(json_string_value(where), "unknown") == 0) {
            (void)json_array_remove(stories, i - 1); /* it is there */
        }
    }
}
