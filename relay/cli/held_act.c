#include <ctype.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "relay/api/text.h"
#include "relay/cli/databases.h"
#include "relay/cli/held.h"

#define SHOWN_MAX 20 /* before the question */

static const struct cli_option retry_table[] = {
    CLI_HELD_OPTIONS_WHERE,
    CLI_HELD_OPTIONS_FILTER,
    CLI_HELD_OPTION("all", CLI_FLAG, all),
    CLI_HELD_OPTION("dry-run", CLI_FLAG, dry_run),
    {0},
};

static const struct cli_option discard_table[] = {
    CLI_HELD_OPTIONS_WHERE,
    CLI_HELD_OPTIONS_FILTER,
    CLI_HELD_OPTION("all", CLI_FLAG, all),
    CLI_HELD_OPTION("yes", CLI_FLAG, yes),
    CLI_HELD_OPTION("dry-run", CLI_FLAG, dry_run),
    {0},
};

/* The messages chosen in one database: exactly these, whatever else is held meanwhile. */
struct choice {
    const struct cli_database *database;
    struct admin_filter filter;
    struct admin_counts counts;
    struct admin_ids ids;
};

struct act {
    const struct cli_command *command;
    struct cli_held_options options;
    struct cli_words words;
    struct cli_databases databases;
    struct admin_filter filter;
    struct choice *choices; /* one for each database */
    bool discard;
};

/* login@machine */
static void
who_am_i(char *ret_who, size_t size)
{
    char machine[256] = "?";
    char login[256];
    const struct passwd *const user = getpwuid(geteuid());
    if (getlogin_r(login, sizeof(login)) != 0) { /* no terminal */
        (void)snprintf(login, sizeof(login), "%s", user == NULL ? "?" : user->pw_name); /* fits */
    }
    (void)gethostname(machine, sizeof(machine) - 1); /* "?" if it has no name that fits */
    (void)snprintf(ret_who, size, "%s@%s", login, machine);
}

static enum cli_exit
check_selector(const struct act *self)
{
    const bool filtered = cli_held_is_filtered(&self->options);
    if (self->words.count > 0 && (filtered || self->options.all)) {
        return cli_misused(self->command, "choose by ids or by options, not by both");
    }
    if (filtered && self->options.all) {
        return cli_misused(self->command, "--all and another choice contradict each other");
    }
    if (self->words.count == 0 && !filtered && !self->options.all) {
        return cli_misused(self->command,
                           "which messages? Name their ids, choose by --state, --key, "
                           "--type, --reason or --older-than, or say --all");
    }
    for (size_t i = 0; i < self->words.count; i++) {
        struct admin_name name;
        if (!admin_name_parse(self->words.words[i], &name)) {
            return cli_misused(self->command, "\"%s\" is neither the id of a row nor a message id",
                               self->words.words[i]);
        }
    }
    return CLI_DONE;
}

/* A question needs a terminal for the question and one for the answer. */
static bool
may_ask(void)
{
    return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

static void
append_ids(struct admin_ids *ids, const struct admin_ids *more)
{
    int64_t *const longer = memory_array(ids->count + more->count, sizeof(*longer));
    for (size_t i = 0; i < ids->count; i++) {
        longer[i] = ids->items[i];
    }
    for (size_t i = 0; i < more->count; i++) {
        longer[ids->count + i] = more->items[i];
    }
    memory_free(ids->items);
    *ids = (struct admin_ids){.items = longer, .count = ids->count + more->count};
}

static enum cli_exit
is_ambiguous(const struct act *self, const char *name, const struct choice *first,
             const struct choice *second)
{
    return cli_misused(self->command,
                       "id %s is held in source \"%s\" and in \"%s\": say which by --source", name,
                       first->database->source->name, second->database->source->name);
}

/* Finds one name in any of the databases. */
static enum cli_exit
choose_name(struct act *self, const char *word)
{
    struct admin_name name;
    const struct choice *first = NULL;
    if (!admin_name_parse(word, &name)) {
        return CLI_USAGE; /* was checked before */
    }
    for (size_t i = 0; i < self->databases.count; i++) {
        struct choice *const choice = &self->choices[i];
        struct error error;
        struct admin_ids found;
        if (!admin_held_find(choice->database->admin, &name, &found, &error)) {
            return cli_source_failed(choice->database->source, &error);
        }
        append_ids(&choice->ids, &found);
        memory_free(found.items);
        if (found.count > 0 && first != NULL) {
            return is_ambiguous(self, word, first, choice);
        }
        first = found.count > 0 ? choice : first;
    }
    if (first == NULL) {
        (void)fprintf(stderr,
                      "no held message has the id %s; `outbox-relay explain %s` says where it is\n",
                      word, word); /* nowhere else to say it */
        self->databases.exit = CLI_FAILED;
    }
    return CLI_DONE;
}

static enum cli_exit
choose_names(struct act *self)
{
    for (size_t i = 0; i < self->databases.count; i++) {
        self->choices[i].filter.ids = &self->choices[i].ids;
    }
    for (size_t i = 0; i < self->words.count; i++) {
        const enum cli_exit exit = choose_name(self, self->words.words[i]);
        if (exit != CLI_DONE) {
            return exit;
        }
    }
    return CLI_DONE;
}

/* Counts what is chosen and fixes its ids. */
static enum cli_exit
choose(struct act *self)
{
    self->choices = memory_array(self->databases.count, sizeof(*self->choices));
    for (size_t i = 0; i < self->databases.count; i++) {
        self->choices[i].database = &self->databases.databases[i];
        self->choices[i].filter = self->filter;
    }
    const enum cli_exit exit = self->words.count > 0 ? choose_names(self) : CLI_DONE;
    for (size_t i = 0; i < self->databases.count && exit == CLI_DONE; i++) {
        struct choice *const choice = &self->choices[i];
        struct error error;
        struct admin_ids ids;
        if (!admin_held_count(choice->database->admin, &choice->filter, &choice->counts, &ids,
                              &error)) {
            return cli_source_failed(choice->database->source, &error);
        }
        memory_free(choice->ids.items);
        choice->ids = ids;
        choice->filter.ids = &choice->ids;
    }
    return exit;
}

static uint64_t
chosen_in_all(const struct act *self)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < self->databases.count; i++) {
        sum += admin_counts_sum(&self->choices[i].counts);
    }
    return sum;
}

static bool
show_choice(const struct act *self, const struct choice *choice, struct error *reterr)
{
    struct admin_messages messages;
    const uint64_t sum = admin_counts_sum(&choice->counts);
    if (sum == 0) {
        return true;
    }
    if (!admin_held_list(choice->database->admin, &choice->filter, SHOWN_MAX, false, &messages,
                         reterr)) {
        return false;
    }
    cli_databases_heading(&self->databases, choice->database);
    cli_held_print_table(&messages);
    if (sum > messages.count) {
        (void)printf("and %" PRIu64 " more\n", sum - messages.count); /* the question follows */
    }
    admin_messages_free(&messages);
    return true;
}

static bool
is_yes(void)
{
    char answer[16];
    const bool read = fgets(answer, sizeof(answer), stdin) != NULL;
    if (!read) {
        (void)fputc('\n', stderr); /* only looks */
    }
    return read && (strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0);
}

static enum cli_exit
ask(const struct act *self)
{
    const uint64_t sum = chosen_in_all(self);
    for (size_t i = 0; i < self->databases.count; i++) {
        struct error error;
        if (!show_choice(self, &self->choices[i], &error)) {
            return cli_source_failed(self->choices[i].database->source, &error);
        }
    }
    (void)fflush(stdout); /* before the question, on the same terminal */
    (void)fprintf(stderr, "discard %" PRIu64 " message%s for ever? [y/N] ", sum,
                  api_text_plural(sum)); /* was looked at */
    if (is_yes()) {
        return CLI_DONE;
    }
    (void)fputs("nothing was discarded\n", stderr); /* nowhere else to say it */
    return CLI_FAILED;
}

/* "3 messages are tried again at once (2 retrying, 1 dead)" */
static void
print_done(const struct act *self, const struct choice *choice, const struct admin_counts *counts)
{
    char text[CLI_HELD_COUNTS_BYTES];
    const uint64_t sum = admin_counts_sum(counts);
    const char *const verb = self->options.dry_run ? "would be" : sum == 1 ? "is" : "are";
    cli_held_counts(counts, UINT64_MAX, text);
    cli_databases_prefix(&self->databases, choice->database);
    (void)printf("%" PRIu64 " message%s %s %s%s%s%s\n", sum, api_text_plural(sum), verb,
                 self->discard ? "discarded" : "tried again at once", sum == 0 ? "" : " (",
                 sum == 0 ? "" : text, sum == 0 ? "" : ")"); /* the exit status says it too */
}

/* Waiting messages cannot be retried: an operator must not send them before their heads. */
static bool
print_waiting(const struct act *self, const struct choice *choice, struct error *reterr)
{
    struct admin_heads heads;
    if (self->discard || choice->counts.waiting == 0) {
        return true;
    }
    if (!admin_held_heads_of(choice->database->admin, &choice->ids, &heads, reterr)) {
        return false;
    }
    for (size_t i = 0; i < heads.count; i++) {
        const struct admin_head *const head = &heads.heads[i];
        cli_databases_prefix(&self->databases, choice->database);
        (void)printf("%" PRIu64 " wait%s", head->waiting,
                     head->waiting == 1 ? "s" : ""); /* as above */
        if (head->message_id == NULL) {
            (void)puts(" behind no held message any more: a running relay moves them to the "
                       "outbox"); /* as above */
        } else {
            (void)printf(" behind id %" PRId64 " (message %s, %s): %s when that has gone\n",
                         head->id, head->message_id, head->state,
                         head->waiting == 1 ? "it goes" : "they go"); /* as above */
        }
    }
    admin_heads_free(&heads);
    return true;
}

static void
print_rest(const struct act *self, const struct choice *choice, const struct admin_counts *asked,
           const struct admin_done *done)
{
    const uint64_t wanted = admin_counts_sum(asked);
    const uint64_t got = admin_counts_sum(&done->counts);
    if (got < wanted) {
        cli_databases_prefix(&self->databases, choice->database);
        (void)printf("%" PRIu64 " of %" PRIu64 ": %" PRIu64 " %s gone or changed meanwhile\n", got,
                     wanted, wanted - got, wanted - got == 1 ? "is" : "are"); /* as above */
    }
    if (done->freed > 0) {
        cli_databases_prefix(&self->databases, choice->database);
        (void)printf("%" PRIu64 " key%s on: the messages that waited are sent next\n", done->freed,
                     done->freed == 1 ? " goes" : "s go"); /* as above */
    }
}

static bool
act_on(const struct act *self, const struct choice *choice, struct error *reterr)
{
    char who[600];
    struct admin *const admin = choice->database->admin;
    struct admin_counts asked = choice->counts;
    struct admin_done done = {.counts = asked};
    if (!self->discard) {
        asked.waiting = 0;
        done.counts.waiting = 0;
    }
    if (admin_counts_sum(&asked) == 0) { /* all of them wait */
        return print_waiting(self, choice, reterr);
    }
    who_am_i(who, sizeof(who));
    const bool good = self->options.dry_run ? true
                      : self->discard
                          ? admin_held_discard(admin, &choice->filter, who, &done, reterr)
                          : admin_held_retry(admin, &choice->filter, who, &done, reterr);
    if (!good) {
        return false;
    }
    print_done(self, choice, &done.counts);
    print_rest(self, choice, &asked, &done);
    return print_waiting(self, choice, reterr);
}

static enum cli_exit
act_on_all(struct act *self)
{
    for (size_t i = 0; i < self->databases.count; i++) {
        struct error error;
        const struct choice *const choice = &self->choices[i];
        if (admin_counts_sum(&choice->counts) > 0 && !act_on(self, choice, &error)) {
            self->databases.exit = cli_source_failed(choice->database->source, &error);
        }
    }
    return self->databases.exit;
}

static enum cli_exit
choose_and_act(struct act *self)
{
    enum cli_exit exit = choose(self);
    if (exit != CLI_DONE) {
        return exit;
    }
    if (chosen_in_all(self) == 0) {
        if (self->words.count == 0) {
            (void)puts("no held message matches"); /* the exit status says it too */
        }
        return self->databases.exit;
    }
    if (self->discard && !self->options.yes && !self->options.dry_run) {
        exit = ask(self);
    }
    return exit != CLI_DONE ? exit : act_on_all(self);
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct act self = {.command = command, .discard = command == &cli_held_discard};
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &self.options, &self.words, &exit) ||
        !cli_held_filter(command, &self.options, &self.filter, &exit)) {
        return exit;
    }
    exit = check_selector(&self);
    if (exit != CLI_DONE) {
        return exit;
    }
    if (self.discard && !self.options.yes && !self.options.dry_run && !may_ask()) {
        return cli_misused(command,
                           "it asks before it discards, and there is no terminal to ask on: "
                           "give --yes, or --dry-run to see what would be discarded");
    }
    if (!cli_databases_open(command, self.options.config_path, self.options.source, &self.databases,
                            &exit)) {
        return exit;
    }
    exit = choose_and_act(&self);
    for (size_t i = 0; self.choices != NULL && i < self.databases.count; i++) {
        memory_free(self.choices[i].ids.items);
    }
    memory_free(self.choices);
    cli_databases_close(&self.databases);
    return exit;
}

#define USAGE_SELECTOR                                                                            \
    "Which: ids of rows or message ids, or the options below, or --all.\n\n" CLI_HELD_USAGE_WHERE \
        CLI_HELD_USAGE_FILTER "      --all               all that are held\n"
#define USAGE_EXIT                                                                                 \
    "exit status: 0 done, 1 an id is not held, a database could not be asked, or the answer was\n" \
    "no, 64 wrong usage, 78 wrong configuration\n"

const struct cli_command cli_held_retry = {
    .name = "held retry",
    .summary = "try held messages again at once",
    .usage =
        "usage: outbox-relay held retry -c FILE ID... | OPTION...\n\n"
        "Tries messages again at once that were refused, also dead ones, and sends scheduled ones\n"
        "now. Those that wait behind another of their key stay: they go when that one has gone.\n"
        "A dead one whose key went on without it is sent as if it had no key.\n" USAGE_SELECTOR
        "      --dry-run           only count\n\n" USAGE_EXIT,
    .options = retry_table,
    .run = run,
};

const struct cli_command cli_held_discard = {
    .name = "held discard",
    .summary = "delete held messages",
    .usage =
        "usage: outbox-relay held discard -c FILE ID... | OPTION...\n\n"
        "Deletes messages: they are not sent, now or later. Where others of the key wait behind\n"
        "one of them, a running relay sends these now, in order. Shows them and asks "
        "before.\n" USAGE_SELECTOR "      --yes               do not ask\n"
        "      --dry-run           only count\n\n" USAGE_EXIT,
    .options = discard_table,
    .run = run,
};
