#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "relay/api/held.h"
#include "relay/api/json.h"
#include "relay/api/text.h"
#include "relay/cli/databases.h"
#include "relay/cli/held.h"
#include "relay/cli/json.h"
#include "relay/cli/text.h"

static const struct cli_option option_table[] = {
    CLI_HELD_OPTIONS_WHERE,
    CLI_HELD_OPTION("json", CLI_FLAG, json),
    {0},
};

static void
print_field(const char *name, const char *text)
{
    char *const clean = api_text_clean(text);
    (void)printf("%-13s %s\n", name, clean); /* a reader who went away needs no answer */
    memory_free(clean);
}

static void
print_time(const char *name, int64_t at_us, int64_t now_us)
{
    char time[API_TIME_BYTES];
    char age[API_AGE_BYTES];
    if (at_us == ADMIN_NO_TIME) {
        return;
    }
    api_text_time(at_us, time);
    if (at_us > now_us) {
        api_text_until(at_us - now_us, age);
        (void)printf("%-13s %s (%s)\n", name, time, age); /* as above */
    } else {
        api_text_age(now_us - at_us, age);
        (void)printf("%-13s %s (%s ago)\n", name, time, age); /* as above */
    }
}

/* Shows the difference between NULL and an empty text. */
static void
print_optional(const char *name, const char *text, const char *if_null)
{
    print_field(name, text == NULL ? if_null : *text == '\0' ? "(empty)" : text);
}

static void
print_lines(const char *title, const char *text)
{
    (void)printf("%s\n", title); /* as above */
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        char *const line = strndup(text, length);
        char *const clean = api_text_clean(line == NULL ? "" : line);
        (void)printf("  %s\n", clean); /* as above */
        memory_free(clean);
        memory_free(line);
        text += length + (text[length] == '\n' ? 1 : 0);
    }
}

static void
print_payload(const struct admin_message *message)
{
    const uint64_t size = message->payload_bytes;
    const bool plain = api_text_is_plain(message->payload, size);
    (void)printf("payload       %" PRIu64 " byte%s%s\n", size, api_text_plural(size),
                 size == 0 ? ""
                 : plain   ? " of text"
                           : ""); /* as above */
    if (!plain) {
        cli_text_dump(stdout, message->payload, size);
    } else if (size > 0) {
        (void)fwrite(message->payload, 1, size, stdout);                     /* as above */
        (void)fputs(message->payload[size - 1] == '\n' ? "" : "\n", stdout); /* as above */
    }
}

static void
print_acts(const struct admin_acts *acts)
{
    for (size_t i = 0; i < acts->count; i++) {
        char time[API_TIME_BYTES];
        char *const who = api_text_clean(acts->acts[i].who);
        api_text_time(acts->acts[i].at_us, time);
        (void)printf("%-13s %s %s by %s, when it was %s%s\n", i == 0 ? "acts" : "", time,
                     acts->acts[i].what, who, acts->acts[i].state,
                     acts->acts[i].seen ? "" : "; no relay has seen it yet"); /* as above */
        memory_free(who);
    }
}

static void
print_message(const struct admin_message *message)
{
    char next[API_AGE_BYTES];
    char id[24];
    (void)snprintf(id, sizeof(id), "%" PRId64, message->id); /* fits */
    print_field("id", id);
    print_field("message id", message->message_id);
    print_field("state", api_held_state(message));
    (void)printf("%-13s %" PRIu32 "\n", "attempts", message->attempts); /* as above */
    cli_held_next_attempt(message, next, sizeof(next));
    print_field("next attempt", next);
    print_optional("last error", message->last_error, "-");
    print_time("held since", message->held_us, message->now_us);
    print_optional("key", message->key, "none: unordered");
    print_optional("type", message->type, "-");
    print_optional("exchange", message->exchange, "the default of the source");
    print_optional("routing key", message->routing_key, "-");
    print_optional("content type", message->content_type, "-");
    print_time("written", message->created_us, message->now_us);
    print_time("deliver after", message->deliver_after_us, message->now_us);
}

static void
print_place(const struct admin_message *message, const struct admin_place *place)
{
    const bool waits = strcmp(message->state, "waiting") == 0;
    if (!waits) {
        (void)printf("%-13s %" PRIu64 " message%s of its key\n", "behind it", place->waiting,
                     api_text_plural(place->waiting)); /* as above */
    } else if (place->head.count == 0) {
        print_field("waits behind",
                    "no held message any more: a running relay moves it to the outbox");
    } else {
        const struct admin_message *const head = &place->head.messages[0];
        char *const error = api_text_clean(head->last_error == NULL ? "" : head->last_error);
        (void)printf("%-13s id %" PRId64 " (message %s), which is %s%s%s\n", "waits behind",
                     head->id, head->message_id, head->state, *error == '\0' ? "" : ": ",
                     error); /* as above */
        if (place->before > 0) {
            (void)printf("%-13s %" PRIu64 " more that wait%s\n", "before it", place->before,
                         place->before == 1 ? "s" : ""); /* as above */
        }
        memory_free(error);
    }
}

static void
print_whole(const struct api_held *whole)
{
    print_message(whole->message);
    if (whole->has_place) {
        print_place(whole->message, &whole->place);
    }
    print_acts(&whole->acts);
    if (whole->message->headers != NULL) {
        print_lines("headers", whole->message->headers);
    }
    print_payload(whole->message);
}

/* array NULL: for a person. */
static bool
show_messages(const struct cli_databases *databases, const struct cli_database *database,
              const struct admin_messages *messages, json_t *array, struct error *reterr)
{
    for (size_t i = 0; i < messages->count; i++) {
        struct api_held whole = {.source = database->source->name,
                                 .message = &messages->messages[i]};
        const bool good = api_held_complete(database->admin, &whole, reterr);
        if (good && array != NULL) {
            api_json_append(array, api_held_json_whole(&whole));
        } else if (good) {
            if (i == 0) {
                cli_databases_heading(databases, database);
            }
            (void)fputs(i > 0 ? "\n" : "", stdout); /* as above */
            print_whole(&whole);
        }
        api_held_done(&whole);
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool
show_in(const struct cli_databases *databases, const struct cli_database *database,
        const struct admin_name *name, json_t *array, uint64_t *found, struct error *reterr)
{
    struct admin_messages messages = {0};
    struct admin_ids ids;
    if (!admin_held_find(database->admin, name, &ids, reterr)) {
        return false;
    }
    const struct admin_filter filter = {.ids = &ids};
    const bool good = admin_held_list(database->admin, &filter, 0, true, &messages, reterr) &&
                      show_messages(databases, database, &messages, array, reterr);
    *found += messages.count;
    admin_messages_free(&messages);
    memory_free(ids.items);
    return good;
}

static void
show(struct cli_databases *databases, const struct admin_name *name, bool json)
{
    json_t *const array = json ? json_array() : NULL;
    uint64_t found = 0;
    for (size_t i = 0; i < databases->count; i++) {
        struct error error;
        if (!show_in(databases, &databases->databases[i], name, array, &found, &error)) {
            databases->exit = cli_source_failed(databases->databases[i].source, &error);
        }
    }
    if (json && cli_json_print(array) != CLI_DONE) {
        databases->exit = CLI_FAILED;
    }
    if (found == 0) {
        (void)fprintf(stderr,
                      "no held message has the id %s; `outbox-relay explain %s` says where it is\n",
                      name->text, name->text); /* nowhere else to say it */
        databases->exit = CLI_FAILED;
    }
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_held_options options = {0};
    struct cli_databases databases;
    struct cli_words words;
    struct admin_name name;
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &options, &words, &exit)) {
        return exit;
    }
    if (words.count != 1) {
        return words.count == 0
                   ? cli_misused(command, "which message? Name its id")
                   : cli_misused(command, "\"%s\" is one word too many", words.words[1]);
    }
    if (!admin_name_parse(words.words[0], &name)) {
        return cli_misused(command, "\"%s\" is neither the id of a row nor a message id",
                           words.words[0]);
    }
    if (!cli_databases_open(command, options.config_path, options.source, &databases, &exit)) {
        return exit;
    }
    show(&databases, &name, options.json);
    exit = databases.exit;
    cli_databases_close(&databases);
    return exit;
}

const struct cli_command cli_held_show = {
    .name = "held show",
    .summary = "all of one held message",
    .usage =
        "usage: outbox-relay held show -c FILE ID [OPTION...]\n\n"
        "Shows all of one held message: ID is the id of its row or its message id. The payload\n"
        "is shown as text if it is text, else as a hex dump.\n\n" CLI_HELD_USAGE_WHERE
        "      --json              an array of one object; payload, or payload_base64\n\n"
        "exit status: 0 shown, 1 not held or a database could not be asked, 64 wrong usage,\n"
        "78 wrong configuration\n",
    .options = option_table,
    .run = run,
};
