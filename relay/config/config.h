/* relay/config/config.h - the content of the configuration files, checked and with defaults filled in. Once made it is
 * read-only and shared by all threads, and lives as long as it has an owner. Each key's type, default, limits and meaning
 * are in one table (keys.c). */
#ifndef RELAY_CONFIG_CONFIG_H
#define RELAY_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "relay/ports/broker.h"
#include "relay/ports/database.h"

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum source_mode { SOURCE_MODE_POLL, SOURCE_MODE_TAIL, SOURCE_MODE_AUTO };
enum source_ordering { ORDERING_KEY, ORDERING_STRICT };
enum source_on_dead { ON_DEAD_BLOCK, ON_DEAD_SKIP };
enum exchange_type { EXCHANGE_DIRECT, EXCHANGE_FANOUT, EXCHANGE_TOPIC };
enum queue_type { QUEUE_QUORUM, QUEUE_CLASSIC };

/* Where the password of a section is found, anew for each connection (password.h): in the file, or in what the command
 * writes. Both NULL: in its uri or dsn, or as the client library finds it. */
struct config_password {
    char *file;
    char *command;
    uint64_t timeout_us; /* of the command */
};

struct broker_config {
    char *name;
    const struct broker_kind *kind;
    struct broker_endpoint *endpoint; /* of `uri` */
    struct config_password password;
    uint16_t heartbeat_s;
    uint64_t confirm_timeout_us;
    uint64_t reconnect_initial_us;
    uint64_t reconnect_max_us;
    uint64_t spread_interval_us; /* 0: never */
};

/* So many sources of one server begin to read its log because of mode = "auto"; each needs a slot, or a reader of the
 * whole binary log. */
#define CONFIG_AUTO_TAILS 4
/* The name of a source has at most so many characters. */
#define CONFIG_NAME_MAX 63

struct source_config {
    char *name;
    const struct database_kind *kind;
    enum source_mode mode;
    /* Mode "auto", but it polls: CONFIG_AUTO_TAILS others of its server come first in the configuration, or it is a
     * tenant's, of whom nobody knows how many come and go. config_crowded_words says which. */
    bool crowded;
    const char *template; /* the name of its template, if it is a tenant's; borrowed */
    const struct broker_config *broker;
    char *dsn; /* as its kind takes it */
    struct config_password password;
    char *exchange;      /* for rows whose exchange is NULL; "" = AMQP's default exchange */
    uint32_t publishers; /* lanes: connections that publish, 1 to 4 */
    uint32_t batch_rows;
    uint64_t batch_bytes;
    uint32_t rate_max; /* messages a second; 0: no limit */
    uint32_t window_messages;
    uint64_t window_bytes;
    uint64_t poll_interval_max_us;
    uint64_t poll_interval_idle_us;
    uint64_t sweep_interval_us;
    char *slot;                     /* NULL: the default name */
    char *publication;              /* NULL: likewise */
    bool tableless;                 /* messages may be only in the log; needs mode tail */
    bool tableless_old_prefix;      /* also messages that name no schema */
    uint64_t wal_retain_max;        /* bytes; 0: no limit */
    uint64_t heartbeat_interval_us; /* 0: none */
    uint64_t takeover_us;    /* the lease: an owner that is silent for longer loses its ownership */
    uint64_t yield_after_us; /* 0: never */
    uint64_t retry_initial_us;
    uint64_t retry_max_us;
    enum source_ordering ordering;
    uint32_t max_attempts; /* refusals after which a message is dead; 0: never */
    enum source_on_dead on_dead;
    /* The most refused messages that are set aside; those waiting behind them do not count. */
    uint32_t held_max;
    uint64_t phase_us;        /* of its beats (base/clock.h); made of its name */
    uint64_t keep_sent_us;    /* how long to remember that a message was sent; 0: not at all */
    uint64_t keep_sent_bytes; /* what that may take in the database, about */
    /* Of a template alone: */
    char *discover;     /* the query whose rows are the names of the tenants */
    char *discover_dsn; /* NULL: where `dsn` leads to */
    uint64_t discover_interval_us;
    uint32_t discover_max; /* tenants */
};

/* Why a source that is crowded polls. */
const char *config_crowded_words(const struct source_config *source);

/* A source whose name has a star: one for each tenant whom its query finds (template.h, tenants.h). */
struct source_template {
    /* The first member. What its tenants have in common. The dsn has DATABASE_TENANT in it; other values with that are only in `texts`. */
    struct source_config source;
    struct template_text *texts;
    size_t text_count;
    char *directory; /* of its file: what relative names in it are looked for in */
    const struct database_kind *const *kinds;
};

/* What the relay declares on the broker when it starts: relay/rabbit/topology.h. Names are those on the broker. */
struct exchange_config {
    char *name;
    const struct broker_config *broker;
    enum exchange_type type;
};

struct queue_config {
    char *name;
    const struct broker_config *broker;
    enum queue_type type;
    bool single_active_consumer;
    char *dead_letter_exchange;    /* NULL: no dead-lettering; "": AMQP's default exchange */
    char *dead_letter_routing_key; /* NULL: that of the message */
    char *dead_letter_queue;       /* NULL, or a shorthand for the two above */
    uint32_t delivery_limit;       /* 0: not set */
};

struct binding_config {
    const struct broker_config *broker;
    char *exchange;
    char *queue;
    char *routing_key;
};

/* Metrics, health and the status page: relay/http. */
struct http_config {
    char *listen;     /* as base/listen.h takes it */
    char *tls_cert;   /* NULL: without TLS */
    char *tls_key;    /* likewise */
    char *token_file; /* read at each use; NULL: nothing can be changed */
    bool behind_proxy;
    bool stuck_unready;
};

/* One sentence each. */
struct config_warnings {
    char **texts;
    size_t count;
};

struct config {
    atomic_uint references;
    char *include; /* a directory; NULL: none */
    char *control; /* the socket for `outbox-relay reload`; NULL: none */
    enum log_format log_format;
    enum log_level log_level;
    uint64_t shutdown_timeout_us;
    struct broker_config *brokers;
    size_t broker_count;
    struct source_config *sources;
    size_t source_count;
    struct source_template *templates;
    size_t template_count;
    /* The configuration that was loaded, if this one has the tenants of its templates as sources too, behind its own
     * `own_count`: all else is that one's. NULL: this is one that was loaded. */
    struct config *loaded;
    size_t own_count;
    struct exchange_config *exchanges;
    size_t exchange_count;
    struct queue_config *queues;
    size_t queue_count;
    struct binding_config *bindings;
    size_t binding_count;
    struct http_config *http; /* NULL: no HTTP */
    /* Problems that do not prevent work but should be repaired, such as a password file that everybody may read. */
    struct config_warnings warnings;
    /* Risks that may be intended: another machine's server reached without TLS. */
    struct config_warnings advice;
};

/* Reads and checks the file and what it includes, all of it before anything is applied. `kinds`: the kinds of database that a source may have, ends with NULL; `broker`: the
 * kind of all brokers. NULL if anything is wrong: then every problem was given to `report`, one call each, in the order
 * of the files and lines: "relay.conf:12: source "orders": batch_rows = 0: expected 1 to 10000". Main thread only: the parser
 * library keeps its state in globals. */
struct config *config_load(const char *path, const struct database_kind *const *kinds,
                           const struct broker_kind *broker,
                           void (*report)(void *context, const char *problem), void *context);

/* One more owner of the configuration, which is the result. Any thread. */
struct config *config_ref(struct config *config);
/* One owner less; the last one frees it. Takes NULL. Any thread. */
void config_free(struct config *config);

#endif
