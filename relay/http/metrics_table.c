/* The one table of metrics. A new metric is an entry here; then docs/METRICS.md is made anew by
 * `outbox-relay metrics-reference`. */
#include <math.h>
#include <string.h>

#include "relay/http/metrics.h"
#include "relay/ports/admin.h"

#define US_PER_S 1e6

#define COUNT(name, expression)                                              \
    static double name(const struct metric_subject *subject, unsigned value) \
    {                                                                        \
        (void)subject; /* not all need it */                                 \
        (void)value;   /* there is one */                                    \
        return (double)(expression);                                         \
    }
#define VIEW (subject->view)
#define FIGURES (subject->figures)
#define TENANTS (subject->template)

/* ---- of the process -------------------------------------------------------------------------------- */

COUNT(read_one, 1)
COUNT(read_sources, subject->process->sources)
COUNT(read_resident, subject->process->resident_bytes)
COUNT(read_cpu, subject->process->cpu_s)
COUNT(read_started, subject->process->started_s)

/* ---- of a source, from its worker ------------------------------------------------------------------ */

COUNT(read_tailing, VIEW->counts.tailing)
COUNT(read_wants_tail, VIEW->wants_tail)
COUNT(read_ownerships, VIEW->ownerships)
COUNT(read_database_losses, VIEW->database_losses)
COUNT(read_lanes, VIEW->lanes)
COUNT(read_lanes_ready, VIEW->counts.lanes_ready)
COUNT(read_broker_connections, VIEW->broker_connections)
COUNT(read_broker_losses, VIEW->broker_losses)
COUNT(read_queued, VIEW->counts.queued)
COUNT(read_in_flight, VIEW->counts.in_flight)
COUNT(read_unsettled, VIEW->counts.unsettled)
COUNT(read_held_keys, VIEW->counts.held)
COUNT(read_published, VIEW->counts.published)
COUNT(read_confirmed, VIEW->counts.confirmed)
COUNT(read_settled, VIEW->counts.settled)
COUNT(read_swept, VIEW->counts.swept)
COUNT(read_limited_time, (double)VIEW->counts.limited_us / US_PER_S)
COUNT(read_blocked_time, (double)VIEW->blocked_us / US_PER_S)

static const char *const states[] = {"starting", "standby", "owned", "lost", NULL};

static double
read_state(const struct metric_subject *subject, unsigned value)
{
    return VIEW->state == value ? 1 : 0;
}

/* PAUSE_NONE has no value of its own. */
static const char *const pauses[] = {"broker",      "blocked",  "degraded",
                                     "undeletable", "held_max", NULL};

static double
read_pause(const struct metric_subject *subject, unsigned value)
{
    return VIEW->state == BOARD_OWNED && VIEW->pause == value + 1 ? 1 : 0;
}

static const char *const refusals[] = {"returned", "nacked",        "closed",
                                       "cut",      "unpublishable", NULL};

static double
read_refused(const struct metric_subject *subject, unsigned value)
{
    const struct pipeline_counts *const counts = &VIEW->counts;
    const uint64_t numbers[] = {counts->refused_returned, counts->refused_nacked,
                                counts->refused_closed, counts->refused_cut,
                                counts->refused_unpublishable};
    return (double)numbers[value];
}

static const char *const repetitions[] = {"connection", "ownership", NULL};

static double
read_repeated(const struct metric_subject *subject, unsigned value)
{
    const struct pipeline_counts *const counts = &VIEW->counts;
    const uint64_t numbers[] = {counts->repeated_connection, counts->repeated_ownership};
    return (double)numbers[value];
}

static double
read_oldest_in_flight(const struct metric_subject *subject, unsigned value)
{
    (void)value; /* there is one */
    const uint64_t since_us = VIEW->oldest_in_flight_us;
    return since_us == 0 || since_us > subject->now_us
               ? 0
               : (double)(subject->now_us - since_us) / US_PER_S;
}

static const struct histogram *
read_publishing(const struct metric_subject *subject)
{
    return &VIEW->latency.publishing;
}

static const struct histogram *
read_delivery(const struct metric_subject *subject)
{
    return &VIEW->latency.delivery;
}

/* ---- of a source, from its database ---------------------------------------------------------------- */

COUNT(read_figures_up, FIGURES->known)
COUNT(read_pending, FIGURES->known ? (double)FIGURES->pending : NAN)
COUNT(read_standbys, FIGURES->known ? (double)FIGURES->standbys : NAN)
COUNT(read_keeper_active, FIGURES->known && FIGURES->has_keeper ? FIGURES->keeper_active : NAN)
COUNT(read_keeper_lost, FIGURES->known && FIGURES->has_keeper ? FIGURES->keeper_lost : NAN)

static double
read_retained(const struct metric_subject *subject, unsigned value)
{
    (void)value; /* there is one */
    const bool known = FIGURES->known && FIGURES->has_keeper && !FIGURES->keeper_lost;
    return known ? (double)FIGURES->keeper_retained : NAN;
}

static double
read_oldest_pending(const struct metric_subject *subject, unsigned value)
{
    (void)value; /* there is one */
    if (!FIGURES->known) {
        return NAN;
    }
    const uint64_t since_us = subject->now_us - FIGURES->told_us;
    return FIGURES->has_oldest ? (double)(FIGURES->oldest_age_us + since_us) / US_PER_S : 0;
}

static const char *const conditions[] = {"reserved", "extended", "unreserved", "lost", NULL};

static double
read_condition(const struct metric_subject *subject, unsigned value)
{
    const char *const condition = FIGURES->known ? FIGURES->keeper_condition : NULL;
    return condition == NULL ? NAN : strcmp(condition, conditions[value]) == 0 ? 1 : 0;
}

COUNT(read_behind, FIGURES->known && FIGURES->log_known ? (double)FIGURES->log_behind : NAN)
COUNT(read_left, FIGURES->known && FIGURES->keeper_limited ? (double)FIGURES->keeper_left : NAN)
COUNT(read_dead_rows,
      FIGURES->known && FIGURES->vacuum.known ? (double)FIGURES->vacuum.dead_rows : NAN)
COUNT(read_snapshot,
      FIGURES->known && FIGURES->vacuum.has_snapshot ? (double)FIGURES->vacuum.snapshot_lag : NAN)

static const char *const held_states[] = {"scheduled", "retrying", "waiting", "dead", NULL};

static double
read_held(const struct metric_subject *subject, unsigned value)
{
    const struct admin_counts *const held = &FIGURES->held;
    const uint64_t numbers[] = {held->scheduled, held->retrying, held->waiting, held->dead};
    return FIGURES->known ? (double)numbers[value] : NAN;
}

/* As enum held_reason has them; and those that were not looked at. */
static const char *const reasons[] = {"unroutable", "nacked", "no_exchange", "denied", "too_large",
                                      "invalid",    "cut",    "other",       "more",   NULL};

static double
count_of_reason(const struct facts_figures *figures, const uint64_t counts[HELD_REASONS],
                uint64_t all, unsigned value)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < HELD_REASONS; i++) {
        sum += counts[i];
    }
    return !figures->known || !figures->reasons_known ? NAN
           : value < HELD_REASONS                     ? (double)counts[value]
           : all > sum                                ? (double)(all - sum)
                                                      : 0;
}

static double
read_retrying(const struct metric_subject *subject, unsigned value)
{
    return count_of_reason(FIGURES, FIGURES->reasons.retrying, FIGURES->held.retrying, value);
}

static double
read_dead(const struct metric_subject *subject, unsigned value)
{
    return count_of_reason(FIGURES, FIGURES->reasons.dead, FIGURES->held.dead, value);
}

/* ---- of a template --------------------------------------------------------------------------------- */

COUNT(read_tenants, TENANTS->tenants)
COUNT(read_refused_tenants, TENANTS->refused)
COUNT(read_tenants_kept, TENANTS->emptied)
COUNT(read_failures, TENANTS->failures)

static double
read_failing(const struct metric_subject *subject, unsigned value)
{
    (void)value; /* there is one */
    const uint64_t since_us = TENANTS->failing_us;
    return since_us == 0 || since_us > subject->now_us
               ? 0
               : (double)(subject->now_us - since_us) / US_PER_S;
}

/* ---- the table ------------------------------------------------------------------------------------- */

#define GAUGE .type = METRIC_GAUGE
#define COUNTER .type = METRIC_COUNTER
#define PROCESS .about = METRIC_PROCESS
#define SOURCE .about = METRIC_SOURCE
#define DATABASE .about = METRIC_DATABASE
#define TEMPLATE .about = METRIC_TEMPLATE
#define UNIT(text) .unit = text
#define LABEL(name, list) .label = name, .values = list
#define READ(function) .read = function
#define HELP(text) .help = text

static const char *const versions[] = {RELAY_VERSION, NULL};

const struct metric metrics[] = {
    {"outbox_relay_build", .type = METRIC_INFO, PROCESS, UNIT(""), LABEL("version", versions),
     READ(read_one), HELP("The relay's version.")},
    {"outbox_relay_sources", GAUGE, PROCESS, UNIT(""), READ(read_sources),
     HELP("Sources in the configuration.")},
    {"process_resident_memory_bytes", GAUGE, PROCESS, UNIT("bytes"), READ(read_resident),
     HELP("Resident memory of the process.")},
    {"process_cpu_seconds", COUNTER, PROCESS, UNIT("seconds"), READ(read_cpu),
     HELP("Processor time of the process, user and system.")},
    {"process_start_time_seconds", GAUGE, PROCESS, UNIT("seconds"), READ(read_started),
     HELP("When the process was started, in seconds since 1970.")},

    {"outbox_relay_state", GAUGE, SOURCE, UNIT(""), LABEL("state", states), READ(read_state),
     HELP("1 for the present state of the source, 0 for the others: `starting`, its database was "
          "not reached yet; `standby`, another relay owns the outbox; `owned`; `lost`, its "
          "database was reached before.")},
    {"outbox_relay_paused", GAUGE, SOURCE, UNIT(""), LABEL("reason", pauses), READ(read_pause),
     HELP(
         "1 for the reason why nothing goes out although the outbox is owned, 0 for the others: "
         "`broker`, no connection; `blocked`, the broker takes no messages; `degraded`, it refuses "
         "nearly every message; `undeletable`, too many messages that went out cannot be deleted; "
         "`held_max`, too many are held.")},
    {"outbox_relay_tailing", GAUGE, SOURCE, UNIT(""), READ(read_tailing),
     HELP("1 while rows come from the database's log, 0 while the table is polled.")},
    {"outbox_relay_tailing_wanted", GAUGE, SOURCE, UNIT(""), READ(read_wants_tail),
     HELP("1 if `mode` is `tail`, or `auto` in one of the first four such sources of the server.")},
    {"outbox_relay_ownerships", COUNTER, SOURCE, UNIT(""), READ(read_ownerships),
     HELP("How often this process came to own the outbox.")},
    {"outbox_relay_database_losses", COUNTER, SOURCE, UNIT(""), READ(read_database_losses),
     HELP("How often the database, and with it the ownership, was lost.")},
    {"outbox_relay_lanes", GAUGE, SOURCE, UNIT(""), READ(read_lanes),
     HELP("Connections that are to publish (`publishers`).")},
    {"outbox_relay_lanes_ready", GAUGE, SOURCE, UNIT(""), READ(read_lanes_ready),
     HELP("Those of them that can.")},
    {"outbox_relay_broker_connections", COUNTER, SOURCE, UNIT(""), READ(read_broker_connections),
     HELP("Connections to the broker that were made.")},
    {"outbox_relay_broker_losses", COUNTER, SOURCE, UNIT(""), READ(read_broker_losses),
     HELP("Connections to the broker that were lost, or could not be made.")},
    {"outbox_relay_blocked_seconds", COUNTER, SOURCE, UNIT("seconds"), READ(read_blocked_time),
     HELP("How long the broker took no messages (connection.blocked), altogether.")},
    {"outbox_relay_rate_limited_seconds", COUNTER, SOURCE, UNIT("seconds"), READ(read_limited_time),
     HELP(
         "How long messages that could have gone waited for `rate_max`, altogether. Where it grows "
         "by nearly a second a second, the limit decides how fast the backlog goes, or grows.")},
    {"outbox_relay_queued_messages", GAUGE, SOURCE, UNIT(""), READ(read_queued),
     HELP("Messages in memory that were not published yet.")},
    {"outbox_relay_in_flight_messages", GAUGE, SOURCE, UNIT(""), READ(read_in_flight),
     HELP("Messages that were published and not confirmed yet.")},
    {"outbox_relay_oldest_in_flight_seconds", GAUGE, SOURCE, UNIT("seconds"),
     READ(read_oldest_in_flight),
     HELP("How long the oldest of them has been waiting for its confirm.")},
    {"outbox_relay_unsettled_messages", GAUGE, SOURCE, UNIT(""), READ(read_unsettled),
     HELP("Messages that were confirmed and not deleted from the outbox yet.")},
    {"outbox_relay_held_keys", GAUGE, SOURCE, UNIT(""), READ(read_held_keys),
     HELP("Keys that a refused message holds back, and refused messages without a key.")},
    {"outbox_relay_published_messages", COUNTER, SOURCE, UNIT(""), READ(read_published),
     HELP("Messages handed to the broker. Those that were sent again count again.")},
    {"outbox_relay_confirmed_messages", COUNTER, SOURCE, UNIT(""), READ(read_confirmed),
     HELP("Messages that the broker has confirmed.")},
    {"outbox_relay_settled_messages", COUNTER, SOURCE, UNIT(""), READ(read_settled),
     HELP("Messages that were deleted from the outbox after their confirm.")},
    {"outbox_relay_refused_messages", COUNTER, SOURCE, UNIT(""), LABEL("reason", refusals),
     READ(read_refused),
     HELP("Refusals: `returned`, no queue took it; `nacked`, a queue is full or failing; `closed`, "
          "the broker closed the channel or the connection for it; `cut`, the connection ended "
          "whenever it was sent; `unpublishable`, it cannot be encoded.")},
    {"outbox_relay_repeated_messages", COUNTER, SOURCE, UNIT(""), LABEL("reason", repetitions),
     READ(read_repeated),
     HELP("Messages that are published again although the broker may have them, so that consumers "
          "may get them twice: `connection`, not confirmed when the connection or its channel "
          "ended; `ownership`, not confirmed, or not deleted yet, when the ownership of the outbox "
          "ended: then the next owner publishes them, perhaps in another process. What a relay "
          "that was killed had published is not counted by anybody.")},
    {"outbox_relay_swept_messages", COUNTER, SOURCE, UNIT(""), READ(read_swept),
     HELP("Messages that the regular look had missed, and the sweep found.")},
    {"outbox_relay_confirm_seconds", .type = METRIC_HISTOGRAM, SOURCE, UNIT("seconds"),
     .read_histogram = read_publishing,
     HELP("From a message being handed to the connection until its confirm.")},
    {"outbox_relay_delivery_seconds", .type = METRIC_HISTOGRAM, SOURCE, UNIT("seconds"),
     .read_histogram = read_delivery,
     HELP("From a message being written (`created_at`) until its confirm; those that were refused "
          "before are left out. It has in it what the clocks of database and relay are apart, and "
          "of scheduled messages how long they were not due.")},

    {"outbox_relay_database_figures_up", GAUGE, DATABASE, UNIT(""), READ(read_figures_up),
     HELP("1 if the database has answered lately. 0: the next metrics are left out.")},
    {"outbox_relay_pending_messages", GAUGE, DATABASE, UNIT(""), READ(read_pending),
     HELP("Messages in the outbox, those in flight too. More than 1,000,000 are not counted.")},
    {"outbox_relay_oldest_pending_seconds", GAUGE, DATABASE, UNIT("seconds"),
     READ(read_oldest_pending),
     HELP("How long the oldest message in the outbox that is due has been waiting; 0 if there is "
          "none.")},
    {"outbox_relay_held_messages", GAUGE, DATABASE, UNIT(""), LABEL("state", held_states),
     READ(read_held), HELP("Held messages by state (`outbox-relay held`).")},
    {"outbox_relay_held_retrying_messages", GAUGE, DATABASE, UNIT(""), LABEL("reason", reasons),
     READ(read_retrying),
     HELP("Those that are tried again, by why they were refused last: `unroutable`, no queue took "
          "it; `nacked`, a queue is full or failing; `no_exchange`, it is not there; `denied`, the "
          "relay may not write to it; `too_large`, for the broker or for any; `invalid`, its "
          "headers or a value that is missing; `cut`, the connection ended whenever it was sent; "
          "`other`. Of a state at most 10,000 are looked at: `more` are the others. Scheduled and "
          "waiting ones have no reason of their own.")},
    {"outbox_relay_held_dead_messages", GAUGE, DATABASE, UNIT(""), LABEL("reason", reasons),
     READ(read_dead), HELP("Dead ones, likewise.")},
    {"outbox_relay_standbys", GAUGE, DATABASE, UNIT(""), READ(read_standbys),
     HELP("Relays that stand by, in any process.")},
    {"outbox_relay_log_behind_bytes", GAUGE, DATABASE, UNIT("bytes"), READ(read_behind),
     HELP("Log that the server has written and the relay has not read yet, whoever's changes they "
          "are. Only where this relay owns the outbox and reads the log; with MariaDB and MySQL "
          "only "
          "if the relay's account may ask where the log ends, as it must to read it.")},
    {"outbox_relay_log_retained_bytes", GAUGE, DATABASE, UNIT("bytes"), READ(read_retained),
     HELP("Log that the server keeps for the source's replication slot. Only with PostgreSQL: "
          "MariaDB and MySQL keep nothing for a reader. They decide by themselves how long log "
          "stays (`binlog_expire_logs_seconds`), and a relay whose place in it is gone reads the "
          "table.")},
    {"outbox_relay_log_slot_active", GAUGE, DATABASE, UNIT(""), READ(read_keeper_active),
     HELP("1 if somebody reads the replication slot. One that nobody reads fills the server's "
          "disk.")},
    {"outbox_relay_log_slot_lost", GAUGE, DATABASE, UNIT(""), READ(read_keeper_lost),
     HELP("1 if the server has removed log that the replication slot needs.")},
    {"outbox_relay_log_slot_condition", GAUGE, DATABASE, UNIT(""), LABEL("condition", conditions),
     READ(read_condition),
     HELP("1 for what the server says of the replication slot (`wal_status`), 0 for the others: "
          "`reserved`; `extended`, it keeps more than `max_wal_size`; `unreserved`, log that is "
          "needed may go at the next checkpoint; `lost`.")},
    {"outbox_relay_log_left_bytes", GAUGE, DATABASE, UNIT("bytes"), READ(read_left),
     HELP("How much the server may write before it removes log that the replication slot needs "
          "(`safe_wal_size`). Only where `max_slot_wal_keep_size` limits that.")},
    {"outbox_relay_dead_rows", GAUGE, DATABASE, UNIT(""), READ(read_dead_rows),
     HELP("Rows of the outbox that were deleted and wait for vacuum. Only with PostgreSQL.")},
    {"outbox_relay_oldest_snapshot_transactions", GAUGE, DATABASE, UNIT(""), READ(read_snapshot),
     HELP("By how many transactions the oldest snapshot lags that keeps deleted rows from being "
          "vacuumed: of a session, a prepared transaction or a replication slot, as far as the "
          "role of the relay may see them. Only with PostgreSQL.")},

    {"outbox_relay_template_tenants", GAUGE, TEMPLATE, UNIT(""), READ(read_tenants),
     HELP("Tenants that have a source.")},
    {"outbox_relay_template_refused_tenants", GAUGE, TEMPLATE, UNIT(""), READ(read_refused_tenants),
     HELP("Names that the query gave and that have no source (`tenant_refused`, `tenants_beyond` "
          "in the log): nobody sends what they write.")},
    {"outbox_relay_template_tenants_kept", GAUGE, TEMPLATE, UNIT(""), READ(read_tenants_kept),
     HELP("1 if the last answer had nobody in it, and was not believed: all sources go on.")},
    {"outbox_relay_template_failures", COUNTER, TEMPLATE, UNIT(""), READ(read_failures),
     HELP("How often the query for the tenants failed.")},
    {"outbox_relay_template_failing_seconds", GAUGE, TEMPLATE, UNIT("seconds"), READ(read_failing),
     HELP("How long it has been failing; 0 if the last one was answered. Meanwhile no tenant comes "
          "or goes; those that are known are served.")},
};
const size_t metrics_count = sizeof(metrics) / sizeof(metrics[0]);
