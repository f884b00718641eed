/* tests/bench/bench.h - what the programs of the bench share: the private servers, one queue, one database, and the
 * messages. Every failure ends the bench, because the figures of an incomplete run mean nothing. */
#ifndef BENCH_H
#define BENCH_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "amqp/session.h"
#include "relay/core/window.h"

#define BENCH_ROUNDS_MAX 9
#define BENCH_PAYLOAD_BYTES 256
#define BENCH_FILLER 0x5a /* a payload is the number of the message, from 1 on, and this byte */
#define BENCH_KEYS 1000
#define BENCH_QUEUE "bench"
#define BENCH_QUEUE_POISONED "bench-poisoned"
#define BENCH_DATABASE "outbox_bench"
#define BENCH_PUBLICATION "outbox_relay_public" /* the relay's name for it */
#define BENCH_LIMIT_SLOT "bench_limit"
#define BENCH_ROWS_LEFT "select count(*) from (select from outbox limit 1) as row"

/* The cost of one run. */
struct bench_result {
    double seconds;
    double cpu_us; /* for a message; user + system */
    double rss_mib;
};

/* The cost of a process. */
struct bench_cost {
    double cpu_us; /* user + system */
    double rss_mib;
};

/* How the rows get into the log. */
enum bench_transactions { BENCH_ONE_TRANSACTION, BENCH_TRANSACTION_PER_ROW };

/* How the relay reads. */
enum bench_reading { BENCH_POLL = 1, BENCH_TAIL = 2, BENCH_BOTH = BENCH_POLL | BENCH_TAIL };

/* A number that must keep changing, in any direction; all zero at first. */
struct bench_progress {
    int64_t number;
    uint64_t since_us;
};

_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *bench_env(const char *name);
void bench_say(const char *name, double rate); /* the rate of one round */

/* The functions that most contests need of a database of any kind. Each contestant has its own connection. */
struct bench_database {
    const char *kind;   /* as in a source of the configuration */
    const char *prefix; /* prefix of the names of modes */
    const char *(*dsn)(void);
    void (*create)(void);
    void (*tune)(void); /* sets up the server, which only the bench uses; NULL: not needed */
    void (*drop)(void);
    /* Empties all tables; nobody reads the log afterwards; ids begin with 1 again. */
    void (*empty)(void);
    /* Writes exactly these rows, and waits until the server is idle: the same for every contestant. */
    void (*fill)(int64_t rows);
    bool (*is_empty)(void);        /* whether the outbox is empty */
    double (*server_cpu_us)(void); /* of the server's processes so far: user + system */

    /* The log. */
    void (*mark_log)(void); /* the bare loop reads what is written from now on */
    void (*write_log)(int64_t rows, enum bench_transactions transactions); /* also onto the disk */
    pid_t (*log_holder)(pid_t relay); /* the process that sends the log to the relay */

    /* The contestants, see below. */
    void (*read_and_delete)(int64_t rows);
    void (*bare_poll)(int64_t messages);
    void (*bare_tail)(int64_t messages);
};
extern const struct bench_database bench_postgres, bench_mysql;

/* The database that is used from now on. */
void bench_use_database(const struct bench_database *database);
const struct bench_database *bench_database(void);
void bench_wait_until_empty(void);

/* PostgreSQL: a connection to the bench's database; statements, which must succeed; the number that a query gives. */
PGconn *bench_connect(void);
void bench_exec(PGconn *conn, const char *sql);
int64_t bench_number(PGconn *conn, const char *sql);
/* until the query gives this number */
void bench_wait_for(PGconn *conn, const char *sql, int64_t wanted);
void bench_empty(PGconn *conn);                /* all tables */
void bench_settle_tables(PGconn *conn);        /* until the server is idle */
void bench_insert(PGconn *conn, int64_t rows); /* in one transaction */
void bench_drop_slots(PGconn *conn);           /* once nobody reads them */

/* The parent of a process; and the processor time of a process and its children so far, including those that have
 * ended. */
pid_t bench_parent(pid_t process);
double bench_family_cpu_us(pid_t process);

/* Stops the process that sends the log to the relay, until bench_release_log. */
pid_t bench_hold_log(pid_t relay);
void bench_release_log(pid_t holder);

/* The broker that is used from now on; NULL: that of ./dev. */
void bench_use_broker(const char *uri);
const char *bench_broker(void);

/* The broker: a connection with channel 1 open, events taken until one of the wanted type comes. */
struct session *bench_session(void);
void bench_wait(struct session *session, enum rabbit_event_type type,
                struct rabbit_event *ret_event);
void bench_fresh_queue(struct session *session, const char *queue);
uint32_t bench_queue_length(struct session *session, const char *queue);
struct rabbit_message bench_message(struct buffer *headers);

/* Publishes on channel 1 and adds the message to the window. */
void bench_send(struct session *session, struct window *window,
                const struct rabbit_message *message);

/* Takes a confirm, which may be for many messages and out of order; any other event ends the bench. */
void bench_confirm(struct window *window, const struct rabbit_event *event);

/* Ends the bench if the number has not changed for a minute. */
void bench_expect_progress(struct bench_progress *progress, int64_t number, const char *what);

/* Starts a contestant in a process of its own; and waits for its end, which must be successful. */
pid_t bench_start(void (*contestant)(int64_t), int64_t messages);
void bench_finish(pid_t pid, struct rusage *ret_usage);

/* The contestants. Each runs in a process of its own. */
/* only publishes: coalesced writes, a window of confirms */
void bench_publish(int64_t messages);
void bench_read_and_delete(int64_t rows); /* a bare loop that reads and deletes the same rows */
void bench_handmade(int64_t messages);    /* the loop that most teams write */
void bench_bare_poll(int64_t messages);   /* only what is necessary, in one thread */
void bench_bare_tail(int64_t messages);   /* the same by the log */
void bench_sink(const char *relay_path, int64_t messages, int rounds, enum bench_reading reading);
struct bench_result bench_relay(int64_t messages, const char *relay_path);
struct bench_result bench_tail_limit(int64_t messages, enum bench_transactions transactions);
struct bench_result bench_tail(int64_t messages, const char *relay_path,
                               enum bench_transactions transactions);
void bench_latency(const char *relay_path, const char *mode, double rate, double seconds);
void bench_depth(const char *relay_path, int64_t rows, int rounds, int64_t measured);
void bench_scheduled(const char *relay_path, double due_per_s, double seconds);

/* Unroutable messages among good ones. */
struct bench_poison {
    double rate; /* of the good messages */
    int64_t held;
    double seconds_to_heal;
};
struct bench_poison bench_poison(int64_t messages, const char *relay_path);

/* Starts `outbox-relay run` with the bench's database and queue, and its log in the file, if one is named; ends it by
 * SIGTERM and returns its cost. */
pid_t bench_relay_start(const char *relay_path, const char *mode, const char *log_path);
struct bench_cost bench_relay_stop(pid_t relay);

/* Starts it in mode tail, and waits until it reads the log: from then on it does not look for rows in the table. */
pid_t bench_relay_start_live(const char *relay_path);

/* Waits until BENCH_QUEUE has so many messages, and returns the seconds since start_us. It asks the queue, because
 * asking the table would change the measurement. */
double bench_wait_for_queue(struct session *session, int64_t messages, uint64_t start_us);

void bench_sort(double *values, int64_t count);
double bench_median(double *values, int count); /* also sorts the values */
double bench_rusage_cpu_us(const struct rusage *usage);

#endif
