#include "relay/cli/held.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "relay/api/held.h"
#include "relay/api/text.h"
#include "relay/cli/table.h"

bool
cli_held_is_filtered(const struct cli_held_options *options)
{
    return options->state != NULL || options->key != NULL || options->type != NULL ||
           options->reason != NULL || options->older_than_us != 0;
}

bool
cli_held_filter(const struct cli_command *command, const struct cli_held_options *options,
                struct admin_filter *ret_filter, enum cli_exit *ret_exit)
{
    static const char *const states[] = {"scheduled", "retrying", "waiting", "dead"};
    const size_t count = sizeof(states) / sizeof(states[0]);
    bool known = options->state == NULL;
    for (size_t i = 0; i < count && !known; i++) {
        known = strcmp(options->state, states[i]) == 0;
    }
    if (!known) {
        const char *const nearest = text_nearest(options->state, states, count);
        *ret_exit = cli_misused(
            command, "--state \"%s\": expected scheduled, retrying, waiting or dead%s%s%s",
            options->state, nearest == NULL ? "" : "; did you mean \"",
            nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?");
        return false;
    }
    *ret_filter = (struct admin_filter){
        .state = options->state,
        .key = options->key,
        .type = options->type,
        .reason = options->reason,
        .older_than_us = options->older_than_us,
    };
    return true;
}

void
cli_held_next_attempt(const struct admin_message *message, char *ret_text, size_t size)
{
    char until[API_AGE_BYTES];
    const bool scheduled = strcmp(message->state, "scheduled") == 0;
    if (!scheduled && strcmp(message->state, "retrying") != 0) {
        (void)snprintf(ret_text, size, "-"); /* fits */
    } else if (message->next_attempt_us == ADMIN_NO_TIME) {
        (void)snprintf(ret_text, size, "never"); /* fits */
    } else {
        api_text_until(message->next_attempt_us - message->now_us, until);
        (void)snprintf(ret_text, size, "%s", until); /* fits */
    }
}

static void
add_number(struct cli_table *table, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, number); /* fits */
    cli_table_add(table, text);
}

static void
add_message(struct cli_table *table, const struct admin_message *message)
{
    char next[API_AGE_BYTES];
    char age[API_AGE_BYTES];
    cli_held_next_attempt(message, next, sizeof(next));
    api_text_age(message->held_us == ADMIN_NO_TIME ? 0 : message->now_us - message->held_us, age);
    add_number(table, message->id);
    cli_table_add(table, message->message_id);
    cli_table_add(table, message->key);
    cli_table_add(table, message->type);
    cli_table_add(table, api_held_state(message));
    add_number(table, message->attempts);
    cli_table_add(table, next);
    cli_table_add(table, age);
    cli_table_add(table, message->last_error);
}

struct cli_table *
cli_held_table(void)
{
    static const struct cli_column columns[] = {
        {"ID", true, 0},     {"MESSAGE ID", false, 0}, {"KEY", false, 24},
        {"TYPE", false, 24}, {"STATE", false, 0},      {"ATTEMPTS", true, 0},
        {"NEXT", false, 0},  {"HELD FOR", false, 0},   {"LAST ERROR", false, 0},
    };
    return cli_table_new(columns, sizeof(columns) / sizeof(columns[0]));
}

void
cli_held_table_go_on(struct cli_table *table, const struct admin_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        add_message(table, &messages->messages[i]);
    }
    cli_table_print(table, stdout, cli_table_terminal_width());
}

void
cli_held_print_table(const struct admin_messages *messages)
{
    struct cli_table *const table = cli_held_table();
    cli_held_table_go_on(table, messages);
    cli_table_free(table);
}

void
cli_held_counts(const struct admin_counts *counts, uint64_t max,
                char ret_text[CLI_HELD_COUNTS_BYTES])
{
    const struct {
        uint64_t count;
        const char *state;
    } parts[] = {
        {counts->scheduled, "scheduled"},
        {counts->retrying, "retrying"},
        {counts->waiting, "waiting"},
        {counts->dead, "dead"},
    };
    size_t size = 0;
    (void)snprintf(ret_text, CLI_HELD_COUNTS_BYTES, "none"); /* fits */
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const bool over = parts[i].count > max;
        if (parts[i].count > 0) {
            size += (size_t)snprintf(ret_text + size, CLI_HELD_COUNTS_BYTES - size,
                                     "%s%s%" PRIu64 " %s", size == 0 ? "" : ", ",
                                     over ? "more than " : "", over ? max : parts[i].count,
                                     parts[i].state); /* four numbers and words fit */
        }
    }
}

/* Sorted by name. */
static const struct cli_command *const commands[] = {
    &cli_held_discard, &cli_held_list, &cli_held_retry, &cli_held_show, NULL,
};

const struct cli_command cli_held = {
    .name = "held",
    .summary = "see messages that are set aside, try them again, discard them",
    .usage = "usage: outbox-relay held COMMAND [OPTION...]\n\n"
             "Messages that cannot go now are set aside, so that others can: scheduled for later,\n"
             "retrying after a refusal, waiting behind one of their key, or dead.\n\n"
             "  list      which there are\n"
             "  show      all of one\n"
             "  retry     try them again at once\n"
             "  discard   delete them\n\n"
             "Works whether a relay runs or not; one that runs takes note within a second.\n"
             "`outbox-relay held COMMAND --help` for more\n",
    .commands = commands,
};
