#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "relay/source_postgres.h"

#define WAIT_US (20 * CLOCK_S_US)

static PGconn *admin;

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load(admin, "outbox-sql/postgres/schema.sql");
}

static void
drop(void)
{
    pg_fixture_drop(admin);
}

TestSuite(source_postgres, .init = create, .fini = drop, .timeout = 120);

static char source_name[] = "orders";
static char no_exchange[] = "";

static struct source_config
config_for(const char *dsn, uint64_t takeover_us)
{
    return (struct source_config){
        .name = source_name,
        .dsn = strdup(dsn),
        .exchange = no_exchange,
        .takeover_us = takeover_us,
    };
}

static struct source *
open_source(const struct source_config *config)
{
    struct source *source = NULL;
    struct error error;
    cr_assert(source_postgres_new(config, &source, &error), "%s", error.text);
    return source;
}

/* One turn of the loop that the pipeline's driver runs; false once `until_us` is reached. */
static bool
turn(struct source *source, uint64_t until_us)
{
    const uint64_t now_us = clock_monotonic_us();
    const uint64_t deadline_us = source->ops->deadline_us(source);
    struct pollfd descriptor = {.fd = source->ops->fd(source), .events = source->ops->poll_events(source)};
    (void)poll(&descriptor, 1, clock_poll_timeout_ms(now_us, deadline_us < until_us ? deadline_us : until_us));
    const uint64_t after_us = clock_monotonic_us();
    source->ops->process(source, descriptor.fd >= 0 ? descriptor.revents : 0, after_us);
    cr_assert_lt(clock_monotonic_us() - after_us, 2 * CLOCK_S_US, "a call blocked");
    return after_us < until_us;
}

/* The next event. */
static struct source_event
next_event(struct source *source)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    struct source_event event;
    while (!source->ops->next(source, &event)) {
        cr_assert(turn(source, until_us), "no event in time");
    }
    return event;
}

static struct source_event
expect(struct source *source, enum source_event_type type)
{
    struct source_event event = next_event(source);
    while (event.type == SOURCE_ALIVE && type != SOURCE_ALIVE) {
        event = next_event(source);
    }
    cr_assert_eq(event.type, type, "event %d instead of %d: %s", event.type, type,
                 event.type == SOURCE_LOST ? event.error.text : "");
    return event;
}

static struct source *
open_owner(const struct source_config *config)
{
    struct source *source = open_source(config);
    (void)expect(source, SOURCE_OWNED);
    return source;
}

static struct fetch
fetch_after(int64_t id)
{
    return (struct fetch){.kind = FETCH_NEXT, .after_id = id, .rows_max = 100, .bytes_max = 4 << 20};
}

static struct batch *
fetch_rows(struct source *source, struct fetch fetch)
{
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    return expect(source, SOURCE_ROWS).batch;
}

static void
settle(struct source *source, const int64_t *ids, size_t count)
{
    source->ops->settle(source, ids, count, clock_monotonic_us());
    (void)expect(source, SOURCE_SETTLED);
}

static void
free_source(struct source *source, struct source_config *config)
{
    source->ops->free(source);
    free(config->dsn);
}

Test(source_postgres, fetches_and_settles)
{
    struct source_config config = config_for(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = open_owner(&config);
    pg_exec(admin, "insert into outbox (routing_key, payload) select 'k' || n, 'x' from generate_series(1, 10) n");
    struct batch *batch = fetch_rows(source, fetch_after(0));
    cr_assert_eq(batch->count, 10);
    cr_assert(batch->complete);
    int64_t ids[10];
    for (size_t i = 0; i < 10; i++) {
        ids[i] = batch->rows[i].id;
        cr_assert_eq(ids[i], (int64_t)i + 1);
    }
    batch_free(batch);
    settle(source, ids, 9);
    cr_assert_eq(pg_query_int(admin, "select id from outbox"), 10);
    free_source(source, &config);
}
