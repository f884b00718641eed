#include "tests/integration/scene_fixture.h"

#include <stdarg.h>
#include <stdio.h>

#include "tests/integration/pg_fixture.h"

struct scene scene;

void
scene_open(void)
{
    scene.conn = pg_fixture_create();
    pg_fixture_load_outbox(scene.conn);
    scene.broker = broker_open(NULL);
    scene.queue = broker_name("queue");
    broker_declare_queue(scene.broker, scene.queue);
}

void
scene_close(void)
{
    relay_free(scene.relay);
    broker_delete_queue(scene.broker, scene.queue);
    broker_close(scene.broker);
    pg_fixture_drop(scene.conn);
}

void
scene_reconnect(void)
{
    PQfinish(scene.conn);
    scene.conn = pg_fixture_connect();
    broker_close(scene.broker);
    scene.broker = broker_open(NULL);
}

void
scene_start_relay(const char *source)
{
    scene.relay = relay_start(&(struct relay_options){.source = source});
    relay_await_work(scene.relay);
}

void
scene_exec(const char *format, ...)
{
    char sql[8192];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    check(length >= 0 && length < (int)sizeof(sql), "a statement is too long");
    pg_exec(scene.conn, sql);
}
