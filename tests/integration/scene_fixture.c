#include "tests/integration/scene_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/integration/servers_fixture.h"

struct scene scene;

void
scene_open(void)
{
    scene.db = db_create();
    db_load_outbox(scene.db);
    if (relay_tails()) {
        db_load_log(scene.db);
    }
    scene.broker = broker_open(NULL);
    scene.queue = broker_name("queue");
    broker_delete_queue(scene.broker, scene.queue); /* one of an earlier process with this id */
    broker_declare_queue(scene.broker, scene.queue);
}

void
scene_open_unlimited(void)
{
    check(setenv("OUTBOX_TEST_MODE", "poll", 1) == 0, "out of memory");
    scene_open();
    db_lift_limits(scene.db);
}

void
scene_tail(void)
{
    check(setenv("OUTBOX_TEST_MODE", "tail", 1) == 0, "out of memory");
}

void
scene_open_tail(void)
{
    scene_tail();
    scene_open();
}

void
scene_open_route(void)
{
    scene_open();
    scene_add_route();
}

void
scene_add_route(void)
{
    scene.exchange = broker_name("exchange");
    broker_declare_exchange(scene.broker, scene.exchange, "direct");
    scene_bind(scene.queue);
}

void
scene_bind(const char *routing_key)
{
    broker_bind(scene.broker, scene.queue, scene.exchange, routing_key);
}

void
scene_close(void)
{
    relay_free(scene.relay);
    if (scene.exchange != NULL) {
        broker_delete_exchange(scene.broker, scene.exchange);
    }
    broker_delete_queue(scene.broker, scene.queue);
    broker_close(scene.broker);
    db_drop(scene.db);
}

void
scene_open_own(void)
{
    servers_start(db_server());
    scene_open();
}

void
scene_open_large(void)
{
    scene_open_own();
    db_take_large(scene.db);
    scene_reconnect();
}

void
scene_close_own(void)
{
    scene_close();
    servers_stop();
}

void
scene_reconnect(void)
{
    db_close(scene.db);
    scene.db = db_connect();
    broker_close(scene.broker);
    scene.broker = broker_open(NULL);
}

static void
start_relay(const struct relay_options *options)
{
    const bool empty = scene_count("select count(*) from outbox") == 0;
    scene.relay = relay_start(options);
    if (relay_tails() && empty) {
        relay_await_tailing(scene.relay);
    } else {
        relay_await_work(scene.relay);
    }
}

void
scene_start_relay(const char *source)
{
    start_relay(&(struct relay_options){.exchange = scene.exchange, .source = source});
}

void
scene_start_patient_relay(const char *source)
{
    start_relay(&(struct relay_options){
        .exchange = scene.exchange, .retry_initial = "1h", .retry_max = "1h", .source = source});
}

void
scene_drain_relay(void)
{
    check(relay_logged(scene.relay, "event=rows_swept") == 0, "the sweep found what was missed");
    relay_drain(scene.relay);
}

static const char *format_sql(const char *format, va_list args)
    __attribute__((format(printf, 1, 0)));
static const char *
format_sql(const char *format, va_list args)
{
    static char sql[8192];
    const int length = vsnprintf(sql, sizeof(sql), format, args);
    check(length >= 0 && length < (int)sizeof(sql), "a statement is too long");
    return sql;
}

void
scene_await_tailing(void)
{
    (void)relay_await_log(scene.relay, "event=tailing", NULL); /* the line has no more text */
}

void
scene_expect_no_pause(void)
{
    const int64_t read = scene_count("select coalesce(max(id), 0) from outbox");
    const uint64_t start_us = clock_monotonic_us();
    scene_await("what was written goes",
                "select not exists (select 1 from outbox where id <= %lld)", (long long)read);
    const uint64_t took_ms = (clock_monotonic_us() - start_us) / CLOCK_MS_US;
    check(took_ms < 20000 * SANITIZED_FACTOR, "it took %llu ms", (unsigned long long)took_ms);
}

void
scene_exec(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    db_exec(scene.db, format_sql(format, args));
    va_end(args);
}

int64_t
scene_count(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int64_t count = db_int(scene.db, format_sql(format, args));
    va_end(args);
    return count;
}

static bool
is_true(void *context)
{
    return db_holds(scene.db, context);
}

void
scene_await(const char *what, const char *format, ...)
{
    char sql[8192];
    va_list args;
    va_start(args, format);
    (void)snprintf(sql, sizeof(sql), "%s", format_sql(format, args)); /* cut is fine */
    va_end(args);
    await(is_true, sql, what, PATIENCE_S);
}

static void
operate(const char *what, const char *condition, const char *change)
{
    const int64_t before = scene_count("select count(*) from outbox_held_act");
    scene_exec("begin; select id from outbox_held where %s order by id for update; "
               "insert into outbox_held_act (who, what, message_id, held_id, \"key\", state) "
               "select 'the test', '%s', message_id, id, \"key\", state from outbox_held "
               "where %s order by id; %s where %s; commit",
               condition, what, condition, change, condition);
    check(scene_count("select count(*) from outbox_held_act") > before, "nothing to %s: %s", what,
          condition);
}

/* The order matters: in MariaDB and MySQL an assignment sees the results of earlier ones. */
void
operator_retry(const char *condition)
{
    char those[1024];
    (void)snprintf(those, sizeof(those), "state in ('retrying', 'dead') and (%s)", condition);
    operate("retry", those,
            "update outbox_held set attempts = case state when 'dead' then 0 else attempts end, "
            "state = 'retrying', next_attempt_at = current_timestamp(6)");
}

void
operator_discard(const char *condition)
{
    operate("discard", condition, "delete from outbox_held");
}
