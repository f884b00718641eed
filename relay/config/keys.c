#include "relay/config/keys.h"

#include <string.h>

#include "relay/config/config.h"

static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const source_modes[] = {"poll", "tail", "auto", NULL};
static const char *const orderings[] = {"key", "strict", NULL};
static const char *const truths[] = {"false", "true", NULL};
static const char *const on_dead_choices[] = {"block", "skip", NULL};
static const char *const exchange_types[] = {"direct", "fanout", "topic", NULL};
static const char *const queue_types[] = {"quorum", "classic", NULL};

#define GLOBAL_KEY(key, member) CONFIG_GLOBAL, key, .offset = offsetof(struct config, member)
#define BROKER_KEY(key, member) CONFIG_BROKER, key, .offset = offsetof(struct broker_config, member)
#define SOURCE_KEY(key, member) CONFIG_SOURCE, key, .offset = offsetof(struct source_config, member)
#define EXCHANGE_KEY(key, member) \
    CONFIG_EXCHANGE, key, .offset = offsetof(struct exchange_config, member)
#define QUEUE_KEY(key, member) CONFIG_QUEUE, key, .offset = offsetof(struct queue_config, member)
#define BINDING_KEY(key, member) \
    CONFIG_BINDING, key, .offset = offsetof(struct binding_config, member)
#define HTTP_KEY(key, member) CONFIG_HTTP, key, .offset = offsetof(struct http_config, member)
#define NUMBER(low, high) .type = CONFIG_NUMBER, .min = low, .max = high
#define DURATION(low, high) .type = CONFIG_DURATION, .min = low, .max = high
#define SECONDS(low, high) .type = CONFIG_SECONDS, .min = low, .max = high
#define SIZE(low, high) .type = CONFIG_SIZE, .min = low, .max = high
#define CHOICE(list) .type = CONFIG_CHOICE, .choices = list
#define BOOL .type = CONFIG_BOOL, .choices = truths
#define AMQP_NAME .type = CONFIG_AMQP_NAME
#define DEFAULT(text) .default_value = text
#define REQUIRED .flags = CONFIG_REQUIRED
#define SECRET .flags = CONFIG_SECRET
#define REQUIRED_SECRET .flags = CONFIG_REQUIRED | CONFIG_SECRET
#define MEANS(text) .meaning = text

const struct config_key config_keys[] = {
    {GLOBAL_KEY("include", include), .type = CONFIG_PATH,
     MEANS("A directory with more files of sections, such as one for each source: all its files "
           "whose names end in `.conf`, in the order of their names; others, and hidden ones, are "
           "left alone. They have sections only. A relative name is looked for beside the file in "
           "which it stands. The directory must exist; it may be empty.")},
    {GLOBAL_KEY("control", control), .type = CONFIG_PATH,
     MEANS("A socket that the relay makes, over which `outbox-relay reload` tells it to read its "
           "configuration again, and hears what came of it. Only the user of the relay and root "
           "may use it. With systemd: `/run/outbox-relay/control`, with "
           "`RuntimeDirectory=outbox-relay`. Without it SIGHUP says the same, and only the log "
           "answers.")},
    {GLOBAL_KEY("log_format", log_format), CHOICE(log_formats), DEFAULT("logfmt"),
     MEANS("How lines are written to standard error: `logfmt` for people, `json` for collectors.")},
    {GLOBAL_KEY("log_level", log_level), CHOICE(log_levels), DEFAULT("info"),
     MEANS("What is logged: this level and everything more important.")},
    {GLOBAL_KEY("shutdown_timeout", shutdown_timeout_us), DURATION("0", "1h"), DEFAULT("30s"),
     MEANS("After the first SIGTERM, how long to wait for the confirms of what is in flight. What "
           "is not confirmed by then stays in the outbox and is sent again: nothing is lost, "
           "duplicates are possible.")},

    {BROKER_KEY("uri", endpoint), .type = CONFIG_URI, REQUIRED_SECRET,
     MEANS("Where RabbitMQ is: `amqp[s]://user@host[:port][,host[:port]...]/vhost[?options]`. "
           "The connections of a source spread over several hosts, which are tried in turn. "
           "Relative names of files in it are looked for beside the "
           "configuration file. See [TLS](TLS.md).")},
    {BROKER_KEY("password_file", password.file), .type = CONFIG_PASSWORD_FILE,
     MEANS("A file with the password; a line feed at its end is cut. It is read again for every "
           "connection, so a changed password needs no restart. Comes before a password in the "
           "URI. A relative name is looked for beside the configuration file.")},
    {BROKER_KEY("password_command", password.command), .type = CONFIG_COMMAND, SECRET,
     MEANS("Instead of `password_file`: a command for `/bin/sh -c` whose standard output is the "
           "password; a line feed at its end is cut. It runs anew for every connection, so that "
           "passwords may expire. See [Operations](OPERATIONS.md#passwords-that-expire).")},
    {BROKER_KEY("password_command_timeout", password.timeout_us), DURATION("100ms", "20s"),
     DEFAULT("10s"),
     MEANS(
         "How long `password_command` may take; then it is killed, and the attempt to connect has "
         "failed.")},
    {BROKER_KEY("heartbeat", heartbeat_s), SECONDS("1s", "10m"), DEFAULT("30s"),
     MEANS("AMQP heartbeat asked for, unless the URI names one. A broker silent for two intervals "
           "counts as lost.")},
    {BROKER_KEY("confirm_timeout", confirm_timeout_us), DURATION("1s", "1h"), DEFAULT("30s"),
     MEANS("When no confirm has come for this long although some are due, the connection counts as "
           "lost and is made anew.")},
    {BROKER_KEY("reconnect_initial", reconnect_initial_us), DURATION("10ms", "1m"),
     DEFAULT("200ms"), MEANS("The wait before the first new attempt to connect.")},
    {BROKER_KEY("reconnect_max", reconnect_max_us), DURATION("100ms", "10m"), DEFAULT("30s"),
     MEANS("The longest wait between attempts; waits grow up to it, with jitter.")},
    {BROKER_KEY("spread_interval", spread_interval_us), DURATION("0", "1h"), DEFAULT("1m"),
     MEANS("With several hosts: when one is back, a source's connections return to it, at most one "
           "in "
           "this time (and up to half of it more, at random). The new connection is made first, "
           "and takes over when nothing is in "
           "flight on the old one. 0: they stay where they are until they are lost. See "
           "[Operations](OPERATIONS.md#rabbitmq-clusters).")},

    {SOURCE_KEY("kind", kind), .type = CONFIG_KIND, REQUIRED, MEANS("The kind of database.")},
    {SOURCE_KEY("mode", mode), CHOICE(source_modes), DEFAULT("auto"),
     MEANS(
         "How new rows are found. `poll` asks the table. `tail` reads the server's log "
         "(PostgreSQL: write-ahead log, logical replication; MariaDB and MySQL: binary log), so "
         "that a message leaves as soon as it is committed. `auto` tails where the server and the "
         "privileges of the role allow it, else "
         "it polls, and `outbox-relay status` says which and why. Of many sources of one server "
         "the "
         "first four with `auto`, in the order of the configuration, tail; others poll, unless "
         "they have a slot already, since each slot, and each reader of the binary log, costs the "
         "server. In any mode the table is the "
         "truth: with the log lost the relay polls until it can tail again. Rows must not be "
         "updated after their insert: the log has them as they were inserted. `tail` differs from "
         "`auto` in what counts as a mistake: `outbox-relay check` and `init` fail where tailing "
         "is not possible.")},
    {SOURCE_KEY("dsn", dsn), .type = CONFIG_DSN, REQUIRED_SECRET,
     MEANS(
         "Where the database is. It must lead to the server itself or to a pool in session "
         "mode: the ownership of the outbox lives in the session. Relative names of its "
         "certificates and keys are looked for beside the configuration file. See [TLS](TLS.md).")},
    {SOURCE_KEY("password_file", password.file), .type = CONFIG_PASSWORD_FILE,
     MEANS("A file with the database password; a line feed at its end is cut. It is read again "
           "for every connection, so a changed password needs no restart. Comes before a password "
           "in the dsn. A relative name is looked for beside the configuration file.")},
    {SOURCE_KEY("password_command", password.command), .type = CONFIG_COMMAND, SECRET,
     MEANS("Instead of `password_file`: a command for `/bin/sh -c` whose standard output is the "
           "password; a line feed at its end is cut. It runs anew for every connection, so that "
           "passwords may expire. See [Operations](OPERATIONS.md#passwords-that-expire).")},
    {SOURCE_KEY("password_command_timeout", password.timeout_us), DURATION("100ms", "20s"),
     DEFAULT("10s"),
     MEANS(
         "How long `password_command` may take; then it is killed, and the attempt to connect has "
         "failed.")},
    {SOURCE_KEY("broker", broker), .type = CONFIG_BROKER_NAME, REQUIRED,
     MEANS("The name of the broker section that this outbox is sent to.")},
    {SOURCE_KEY("exchange", exchange), .type = CONFIG_STRING, DEFAULT(""),
     MEANS("The exchange of rows whose own `exchange` is NULL. Empty is AMQP's default exchange, "
           "where the routing key names a queue.")},
    {SOURCE_KEY("publishers", publishers), NUMBER("1", "4"), DEFAULT("1"),
     MEANS("Connections that publish. Messages of one key always take the same.")},
    {SOURCE_KEY("batch_rows", batch_rows), NUMBER("1", "10000"), DEFAULT("1000"),
     MEANS("Rows read from the table at a time, at most.")},
    {SOURCE_KEY("batch_bytes", batch_bytes), SIZE("64KiB", "256MiB"), DEFAULT("4MiB"),
     MEANS("Bytes of payloads and headers read at a time, at most; one row is read in any case.")},
    {SOURCE_KEY("window_messages", window_messages), NUMBER("1", "65536"), DEFAULT("16384"),
     MEANS("Messages published and not yet confirmed, at most. The window adapts below it.")},
    {SOURCE_KEY("window_bytes", window_bytes), SIZE("1MiB", "1GiB"), DEFAULT("64MiB"),
     MEANS("Bytes published and not yet confirmed, at most.")},
    {SOURCE_KEY("rate_max", rate_max), NUMBER("0", "1000000"), DEFAULT("0"),
     MEANS("Messages published a second, at most: new ones, those tried again and scheduled ones "
           "alike. 0: no limit. What was not used may be made up for within a tenth of a second. "
           "What does not go stays in the outbox. See "
           "[Operations](OPERATIONS.md#one-source-must-not-flood-the-others).")},
    {SOURCE_KEY("poll_interval_max", poll_interval_max_us), DURATION("1ms", "1m"), DEFAULT("100ms"),
     MEANS("The longest wait between two looks at an outbox to which nothing is written; with work "
           "there is no wait. It holds until nothing has come for a minute: then "
           "`poll_interval_idle` does.")},
    {SOURCE_KEY("poll_interval_idle", poll_interval_idle_us), DURATION("1ms", "1m"), DEFAULT("1s"),
     MEANS(
         "The same for an outbox to which nothing has been written for a minute, and of which no "
         "message is held: the first message after such a silence may wait this long. It counts "
         "if it is longer than `poll_interval_max`; set both to the same for no difference. Ten "
         "looks a second cost a quarter of a percent of a processor, which many idle sources add "
         "up. An operator's act is seen within 0.5 s while messages are held or come, else within "
         "10 s.")},
    {SOURCE_KEY("sweep_interval", sweep_interval_us), DURATION("1s", "1h"), DEFAULT("30s"),
     MEANS("How often the whole table is looked over, which finds whatever was missed.")},
    {SOURCE_KEY("slot", slot), .type = CONFIG_NAME,
     MEANS(
         "The replication slot of a source that tails: lower case letters, digits and `_`. Unless "
         "given, `outbox_relay_DATABASE_SCHEMA`, of at most 63 characters, with `_` for every "
         "character that a slot's name can't have.")},
    {SOURCE_KEY("publication", publication), .type = CONFIG_NAME,
     MEANS("The publication of a source that tails. Unless given, `outbox_relay_SCHEMA`, made as "
           "the name of the slot is.")},
    {SOURCE_KEY("tableless", tableless), BOOL, DEFAULT("false"),
     MEANS("Also takes messages that stand in the server's log alone (`outbox_emit`): the relay "
           "writes them into the outbox as soon as the log brings them. Needs `mode = tail`. The "
           "log is the only place where they are until then, so the slot is never dropped for "
           "`wal_retain_max`: above it an error is logged, and the disk of the server is the "
           "limit.")},
    {SOURCE_KEY("tableless_old_prefix", tableless_old_prefix), BOOL, DEFAULT("false"),
     MEANS("Also takes messages of the log with the prefix `outbox`, which names no schema: what "
           "`outbox_emit` wrote before version 0.2 (since then it is `outbox.SCHEMA`). In at most "
           "one source of a database, for each that asks takes them all. Needs `tableless`.")},
    {SOURCE_KEY("wal_retain_max", wal_retain_max), SIZE("0", "100000GiB"), DEFAULT("10GiB"),
     MEANS("How much of its log the server may keep for the relay. Above it the relay drops the "
           "slot, goes on by polling, and tails again when it has caught up: nothing is lost, so "
           "the disk of the server comes first. A broker that stays away for hours is what it is "
           "for. 0: no limit but the server's own `max_slot_wal_keep_size`.")},
    {SOURCE_KEY("heartbeat_interval", heartbeat_interval_us), DURATION("0", "1h"), DEFAULT("0"),
     MEANS("How often a relay that tails writes a small message into the server's log, so that its "
           "own position moves. 0: never. Seldom needed: the server's keepalives move it as well "
           "when nothing is written to the outbox, also in an idle database of a busy server.")},
    {SOURCE_KEY("takeover", takeover_us), DURATION("2s", "10m"), DEFAULT("15s"),
     MEANS("The lease of the ownership: a standby relay takes over when the owner has been silent "
           "for this long. A batch is to come within a quarter of it: over a link that is slower "
           "than `batch_bytes` in that time, the relay asks for less at a time, down to one row, "
           "which may take twenty times as long.")},
    {SOURCE_KEY("yield_after", yield_after_us), DURATION("0", "1h"), DEFAULT("5s"),
     MEANS(
         "When an owner has had no connection to its broker for this long, and a standby relay has "
         "one, it leaves the outbox to that relay, and does not take it back while the other one "
         "works. 0: never. How soon it notices that the broker is silent, is up to the broker's "
         "`heartbeat` and `confirm_timeout`.")},
    {SOURCE_KEY("ordering", ordering), CHOICE(orderings), DEFAULT("key"),
     MEANS(
         "`key`: many messages of a key may be unconfirmed at a time, in order on one connection; "
         "if the broker refuses one of them, those behind it may pass it. `strict`: at most one "
         "unconfirmed message of a key, so nothing ever passes; a key then goes no faster than one "
         "message per round trip.")},
    {SOURCE_KEY("retry_initial", retry_initial_us), DURATION("10ms", "1h"), DEFAULT("1s"),
     MEANS("The wait before a refused message is tried again for the first time.")},
    {SOURCE_KEY("retry_max", retry_max_us), DURATION("100ms", "1d"), DEFAULT("5m"),
     MEANS("The longest wait between two tries of a refused message; waits double up to it, with "
           "jitter.")},
    {SOURCE_KEY("max_attempts", max_attempts), NUMBER("0", "1000000"), DEFAULT("100"),
     MEANS("After so many refusals a message is dead: it is tried again only when an operator says "
           "so (`outbox-relay held retry`). 0: never dead. Outages of any kind do not count.")},
    {SOURCE_KEY("on_dead", on_dead), CHOICE(on_dead_choices), DEFAULT("block"),
     MEANS(
         "What a dead message does to its key: `block`: the later messages of the key wait for an "
         "operator; `skip`: they go on without it.")},
    {SOURCE_KEY("held_max", held_max), NUMBER("1", "100000"), DEFAULT("10000"),
     MEANS(
         "Refused messages (retrying or dead) that may be set aside at a time; scheduled ones, "
         "those waiting behind a refused one, and dead ones that were skipped do not count. At the "
         "limit the source pauses, and only tries those again.")},
    {SOURCE_KEY("keep_sent", keep_sent_us), DURATION("0", "30d"), DEFAULT("1d"),
     MEANS(
         "How long to remember what was sent and when, for `outbox-relay explain`: a row for each "
         "batch of messages. 0: not at all, and what was recorded before is forgotten. See "
         "[Operations](OPERATIONS.md#after-delivery).")},
    {SOURCE_KEY("keep_sent_bytes", keep_sent_bytes), SIZE("1MiB", "100GiB"), DEFAULT("256MiB"),
     MEANS("What that may take in the database, about; then the oldest is forgotten before "
           "`keep_sent` is over. The default holds about two million messages that went one at a "
           "time, and more than twice as many in batches of a hundred or more. `outbox-relay "
           "explain` reads all of it for a message that it does not find: 1 to 2 s.")},
    {SOURCE_KEY("discover", discover), .type = CONFIG_STRING,
     MEANS(
         "Makes the section a template: one whose name has a star, such as `source \"shop-*\"`. A "
         "query that gives one column, the names of tenants; each has a source of its own with "
         "that name in place of the star, and of `{tenant}` in `dsn` (where it must stand), "
         "`exchange`, `slot`, `publication` and `password_file`. Names are of letters, digits, "
         "`_`, `-` and `.`; the names of tables of your own in the query need their schema. See "
         "[Operations](OPERATIONS.md#many-tenants).")},
    {SOURCE_KEY("discover_interval", discover_interval_us), DURATION("1s", "1h"), DEFAULT("30s"),
     MEANS("How often the query runs. A new tenant's source starts after the first answer that "
           "has it; one that is gone ends after the second answer in a row that has it not.")},
    {SOURCE_KEY("discover_max", discover_max), NUMBER("1", "10000"), DEFAULT("1000"),
     MEANS("Tenants that a template may have; more are refused, and those that run stay.")},
    {SOURCE_KEY("discover_dsn", discover_dsn), .type = CONFIG_DSN, SECRET,
     MEANS("Where the query runs, with the same password. Unless given, where `dsn` leads to; if "
           "the database there has `{tenant}` in its name, in the database `postgres` of the same "
           "server, with MariaDB and MySQL in `information_schema`.")},

    {EXCHANGE_KEY("name", name), AMQP_NAME,
     MEANS("Its name on the broker, where that is not the name of the section.")},
    {EXCHANGE_KEY("broker", broker), .type = CONFIG_BROKER_NAME,
     MEANS("The name of the broker section. Needed only where there are several.")},
    {EXCHANGE_KEY("type", type), CHOICE(exchange_types), DEFAULT("topic"),
     MEANS("Which queues get a message: `topic`, those bound with a pattern that its routing key "
           "matches; `direct`, those bound with that routing key; `fanout`, all that are bound.")},

    {QUEUE_KEY("name", name), AMQP_NAME,
     MEANS("Its name on the broker, where that is not the name of the section.")},
    {QUEUE_KEY("broker", broker), .type = CONFIG_BROKER_NAME,
     MEANS("The name of the broker section. Needed only where there are several.")},
    {QUEUE_KEY("type", type), CHOICE(queue_types), DEFAULT("quorum"),
     MEANS("`quorum` is on the disks of a majority of the cluster before a message is confirmed; "
           "`classic` has one copy.")},
    {QUEUE_KEY("single_active_consumer", single_active_consumer), BOOL, DEFAULT("false"),
     MEANS("Only one consumer of the queue gets messages at a time, the others stand by: what the "
           "order of a key needs. Before RabbitMQ 4 a `classic` queue does not keep the order when "
           "a consumer is cancelled, and may crash (docs/OPERATIONS.md).")},
    {QUEUE_KEY("dead_letter_queue", dead_letter_queue), AMQP_NAME,
     MEANS("Where a message goes that its consumer rejects, or that was given out too often "
           "(`delivery_limit`): to this queue, which is best declared in a section of its own. A "
           "quorum queue keeps the message until that queue has it "
           "(`x-dead-letter-strategy: at-least-once`).")},
    {QUEUE_KEY("dead_letter_exchange", dead_letter_exchange), AMQP_NAME,
     MEANS("Instead of `dead_letter_queue`: to this exchange.")},
    {QUEUE_KEY("dead_letter_routing_key", dead_letter_routing_key), AMQP_NAME,
     MEANS("The routing key there. Unless given, that of the message.")},
    {QUEUE_KEY("delivery_limit", delivery_limit), NUMBER("0", "1000000"), DEFAULT("20"),
     MEANS("How often a message of a quorum queue may come back before it is dead-lettered. Used "
           "only with a dead-letter target, since without one the broker would discard the "
           "message. 0: left to the broker. RabbitMQ 4 takes 20 where nothing is said, also "
           "without a target, and discards then: so give every queue a target.")},

    {BINDING_KEY("broker", broker), .type = CONFIG_BROKER_NAME,
     MEANS("The name of the broker section. Needed only where there are several.")},
    {BINDING_KEY("exchange", exchange), AMQP_NAME, REQUIRED,
     MEANS("The exchange's name on the broker.")},
    {BINDING_KEY("queue", queue), AMQP_NAME, REQUIRED, MEANS("The queue's name on the broker.")},
    {BINDING_KEY("routing_key", routing_key), AMQP_NAME, DEFAULT("#"),
     MEANS("Which messages: for a topic exchange a pattern, where `*` stands for a word and `#` "
           "for any number of words, so that `#` is all; for a direct exchange the routing key "
           "itself.")},

    {HTTP_KEY("listen", listen), .type = CONFIG_LISTEN, DEFAULT("127.0.0.1:8372"),
     MEANS("The address and the port, in numbers; IPv6 in brackets: `[::1]:8372`. Anything but "
           "this machine's own loopback needs `tls_cert` and `tls_key`, or `behind_proxy`.")},
    {HTTP_KEY("tls_cert", tls_cert), .type = CONFIG_FILE,
     MEANS("The certificate for TLS in PEM, with those between it and the authority behind it. It "
           "is read when the relay starts. A relative name is looked for beside the configuration "
           "file.")},
    {HTTP_KEY("tls_key", tls_key), .type = CONFIG_FILE,
     MEANS("The private key of `tls_cert` in PEM, without a password.")},
    {HTTP_KEY("behind_proxy", behind_proxy), BOOL, DEFAULT("false"),
     MEANS("Says that only a proxy reaches this address, which does TLS and lets in whom it may. "
           "Then any `Host` is taken, and the number of connections from one address has no limit "
           "of its own.")},
    {HTTP_KEY("token_file", token_file), .type = CONFIG_PASSWORD_FILE,
     MEANS(
         "A file with the token that a request which changes something must have "
         "(`Authorization: Bearer TOKEN`); a line feed at its end is cut. It is read at each such "
         "request, so a changed token needs no restart. Unless given, nothing can be changed over "
         "HTTP.")},
    {HTTP_KEY("stuck_unready", stuck_unready), BOOL, DEFAULT("false"),
     MEANS(
         "Whether `/readyz` says 503 while a source is paused, or has lost its database. It names "
         "such a source in any case. Not by default: nothing is routed to a relay by its "
         "readiness, so an outage of the broker would only stop roll-outs and take the status "
         "page away.")},
};
const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

const char *
config_scope_word(enum config_scope scope)
{
    static const char *const words[CONFIG_SCOPE_COUNT] = {"",      "broker",  "source", "exchange",
                                                          "queue", "binding", "http"};
    return words[scope];
}

bool
config_scope_is_named(enum config_scope scope)
{
    return scope != CONFIG_GLOBAL && scope != CONFIG_BINDING && scope != CONFIG_HTTP;
}

const struct config_key *
config_key_find(enum config_scope scope, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].scope == scope && strcmp(config_keys[i].name, name) == 0) {
            return &config_keys[i];
        }
    }
    return NULL;
}
