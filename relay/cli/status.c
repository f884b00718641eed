#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "relay/api/json.h"
#include "relay/api/status.h"
#include "relay/api/text.h"
#include "relay/cli/databases.h"
#include "relay/cli/held.h"
#include "relay/cli/json.h"
#include "relay/ports/admin_status.h"

struct status_options {
    const char *config_path;
    const char *source;
    bool json;
};

static const struct cli_option option_table[] = {
    CLI_OPTION_CONFIG(struct status_options),
    {"source", 0, CLI_TEXT, offsetof(struct status_options, source)},
    {"json", 0, CLI_FLAG, offsetof(struct status_options, json)},
    {0},
};

/* ", since 2026-11-23 10:00:00+01:00 (3 h)"; nothing if it is not known. */
static void
print_since(int64_t since_us, int64_t now_us)
{
    char time[API_TIME_BYTES];
    char age[API_AGE_BYTES];
    if (since_us != ADMIN_NO_TIME) {
        api_text_time(since_us, time);
        api_text_age(now_us - since_us, age);
        (void)printf(" since %s (%s)", time, age); /* a reader who went away needs no answer */
    }
}

static void
print_session(const struct admin_session *session)
{
    (void)printf("database session %" PRId64, session->pid); /* as above */
    if (session->host != NULL) {
        (void)printf(" from %s", session->host); /* as above */
    }
}

static void
print_relay(const struct admin_relay *relay)
{
    char *const host = api_text_clean(relay->host);
    char *const version = api_text_clean(relay->version);
    (void)printf("process %" PRId64 " on %s, version %s", relay->pid, host, version); /* as above */
    memory_free(host);
    memory_free(version);
}

static void
print_last_relay(const struct admin_status *status)
{
    char age[API_AGE_BYTES];
    if (!status->relay.known) {
        return;
    }
    api_text_age(status->now_us - status->relay.updated_us, age);
    (void)printf("             the last was "); /* as above */
    print_relay(&status->relay);
    (void)printf(", last seen %s ago\n", age); /* as above */
}

static void
print_owner(const struct admin_status *status)
{
    const struct admin_session *const owner = admin_status_owner(status);
    (void)printf("  relay      "); /* as above */
    if (owner == NULL) {
        (void)puts("none owns the outbox: nothing is sent"); /* as above */
        print_last_relay(status);
        return;
    }
    if (admin_status_is_owners(status)) {
        print_relay(&status->relay);
        (void)printf("\n             "); /* as above */
        print_session(owner);
        print_since(status->relay.owned_since_us, status->now_us);
    } else {
        print_session(owner);
        print_since(owner->since_us, status->now_us);
        (void)printf("\n             it has not reported its state yet"); /* as above */
    }
    (void)putchar('\n'); /* as above */
}

static void
print_standbys(const struct admin_sessions *sessions)
{
    for (size_t i = 0; i < sessions->count; i++) {
        if (!sessions->sessions[i].owns) {
            (void)printf("  standby    "); /* as above */
            print_session(&sessions->sessions[i]);
            (void)putchar('\n'); /* as above */
        }
    }
}

static void
print_pending(const struct admin_status *status)
{
    char age[API_AGE_BYTES];
    if (status->pending > ADMIN_MANY) {
        (void)printf("  pending    more than %d", ADMIN_MANY); /* as above */
    } else {
        (void)printf("  pending    %" PRIu64, status->pending); /* as above */
    }
    if (status->oldest_us != ADMIN_NO_TIME) {
        api_text_age(status->now_us - status->oldest_us, age);
        (void)printf(", the oldest for %s", age); /* as above */
    }
    (void)putchar('\n'); /* as above */
}

static void
print_reads(const struct admin_relay *relay)
{
    if (relay->reads == NULL) {
        return;
    }
    const bool tails = strcmp(relay->reads, "tail") == 0;
    (void)printf("  reads      %s",
                 tails ? "the log (tailing)" : "the table (polling)"); /* as above */
    if (relay->reads_reason != NULL) {
        char *const reason = api_text_clean(relay->reads_reason);
        (void)printf(": %s", reason); /* as above */
        memory_free(reason);
    }
    (void)putchar('\n'); /* as above */
    if (relay->swept > 0) {
        (void)printf("  swept      %" PRIu64 ", which the log did not deliver\n",
                     relay->swept); /* as above */
    }
}

/* Printed even if nobody reads it: it fills the server's disk all the same. */
static void
print_keeper(const struct admin_keeper *keeper)
{
    if (keeper->what == NULL) {
        return;
    }
    (void)printf("  %-10s %s, ", keeper->what, keeper->name); /* as above */
    if (keeper->lost) {
        (void)puts("lost: the server has removed log that it still needs"); /* as above */
    } else {
        (void)printf(
            "keeps %.1f MiB of the server's log%s%s%s\n", (double)keeper->retained / (1 << 20),
            keeper->active ? "" : ", and nobody reads it", keeper->remark == NULL ? "" : ", ",
            keeper->remark == NULL ? "" : keeper->remark); /* as above */
    }
}

/* Prints what only the relay knows. */
static void
print_told(const struct admin_status *status)
{
    const struct admin_relay *const relay = &status->relay;
    char age[API_AGE_BYTES];
    (void)printf("  in flight  %" PRIu64, relay->in_flight); /* as above */
    if (relay->in_flight > 0 && relay->in_flight_since_us != ADMIN_NO_TIME) {
        api_text_age(status->now_us - relay->in_flight_since_us, age);
        (void)printf(", the oldest for %s", age); /* as above */
    }
    (void)printf("\n  rate       %.*f a second\n", relay->rate < 10 ? 1 : 0,
                 relay->rate); /* as above */
    print_reads(relay);
    if (relay->paused_reason != NULL) {
        char *const reason = api_text_clean(relay->paused_reason);
        (void)printf("  paused    "); /* as above */
        print_since(relay->paused_since_us, status->now_us);
        (void)printf(": %s\n", reason); /* as above */
        memory_free(reason);
    }
    if (!admin_status_is_current(status)) {
        api_text_age(status->now_us - relay->updated_us, age);
        (void)printf("  as of      %s ago: the relay has not reported its state since\n",
                     age); /* as above */
    }
}

static void
print_held(const struct admin_counts *held)
{
    char text[CLI_HELD_COUNTS_BYTES];
    cli_held_counts(held, ADMIN_MANY, text);
    (void)printf("  held       %s\n", text); /* as above */
}

static void
print_status(const struct cli_databases *databases, const struct cli_database *database,
             const struct admin_status *status)
{
    (void)printf("%ssource \"%s\"\n", database == databases->databases ? "" : "\n",
                 database->source->name); /* as above */
    print_owner(status);
    print_standbys(&status->sessions);
    print_pending(status);
    if (admin_status_is_owners(status)) {
        print_told(status);
    }
    print_keeper(&status->keeper);
    print_held(&status->held);
}

static void
tell(struct cli_databases *databases, bool json)
{
    json_t *const array = json ? json_array() : NULL;
    for (size_t i = 0; i < databases->count; i++) {
        const struct cli_database *const database = &databases->databases[i];
        struct admin_status status;
        struct error error;
        if (!admin_status_get(database->admin, &status, &error)) {
            databases->exit = cli_source_failed(database->source, &error);
            continue;
        }
        if (json) {
            api_json_append(array, api_status_json(database->source->name, &status));
        } else {
            print_status(databases, database, &status);
        }
        admin_status_free(&status);
    }
    if (json && cli_json_print(array) != CLI_DONE) {
        databases->exit = CLI_FAILED;
    }
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct status_options options = {0};
    struct cli_databases databases;
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &options, NULL, &exit) ||
        !cli_databases_open(command, options.config_path, options.source, &databases, &exit)) {
        return exit;
    }
    tell(&databases, options.json);
    exit = databases.exit;
    cli_databases_close(&databases);
    return exit;
}

const struct cli_command cli_status = {
    .name = "status",
    .summary = "how each source is doing",
    .usage =
        "usage: outbox-relay status -c FILE [OPTION...]\n\n"
        "Says of each source which relay works it and which stand by, what is pending, in flight\n"
        "and held, whether it reads the table or the log, and why nothing goes out if that is so.\n"
        "Asks the databases alone.\n\n"
        "  -c, --config FILE   the configuration\n"
        "      --source NAME   only this source of it\n"
        "      --json          one array of objects\n\n"
        "exit status: 0 told, 1 a database could not be asked, 64 wrong usage, 78 wrong\n"
        "configuration\n",
    .options = option_table,
    .run = run,
};
