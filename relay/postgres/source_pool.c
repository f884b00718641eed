/* Detects a connection pool that gives each transaction another session of the server: there the ownership would go to
 * whichever client gets the session next. As long as a relay is alone, it gets the same session each time, and notices
 * nothing. So if the server process is not the one that the connection was told (with a pool in any mode), a second
 * connection is made, and both ask in turn which process answers. In transaction mode the pool gives out the session
 * that was used last, so both connections get the same one, or the next of several, so that one connection gets two. In
 * session mode neither can happen. If the pool has no room for a second connection, this cannot be found out; then the
 * ownership is checked regularly while it lasts (acts.sql). */
#include "base/clock.h"
#include "relay/postgres/source_private.h"

#define PATIENCE_US (5 * CLOCK_S_US)
#define ASKS 10

static const char pid_sql[] = "select pg_catalog.pg_backend_pid()";
/* Which connection asks next: 0: ours, 1: the second. */
static const unsigned order[] = {0, 0, 1, 0, 1};

void
pg_pool_end(struct source_postgres *self)
{
    PQfinish(self->pool.second);
    self->pool.second = NULL;
}

/* The session is our own, or nothing shows that it is not. */
static void
go_on(struct source_postgres *self, uint64_t now_us)
{
    pg_pool_end(self);
    pg_session_ready(self, now_us);
}

static void
ask(struct source_postgres *self, uint64_t now_us)
{
    struct pg_pool *pool = &self->pool;
    if (pool->asked == ASKS) {
        pool->is_session = true;
        go_on(self, now_us);
    } else if (order[pool->asked % (sizeof(order) / sizeof(order[0]))] == 0) {
        if (PQsendQueryParams(self->connection, pid_sql, 0, NULL, NULL, NULL, NULL, 1) == 0) {
            pg_session_broken(self, now_us);
        } else {
            pg_request_end(self, PG_REQUEST_POOL, now_us); /* a loss was told */
        }
    } else if (PQsendQueryParams(pool->second, pid_sql, 0, NULL, NULL, NULL, NULL, 1) == 0) {
        go_on(self, now_us);
    }
}

static void
take(struct source_postgres *self, unsigned which, int32_t pid, uint64_t now_us)
{
    struct pg_pool *pool = &self->pool;
    const int32_t before = pool->pids[which];
    pool->pids[which] = pid;
    pool->asked++;
    if ((before != 0 && before != pid) || pool->pids[0] == pool->pids[1]) {
        struct error error;
        pg_error_set_pooled(&error);
        pg_session_lost(self, &error, now_us);
    } else {
        ask(self, now_us);
    }
}

bool
pg_pool_begin(struct source_postgres *self, uint64_t now_us)
{
    struct pg_pool *pool = &self->pool;
    struct error error; /* not reported: a failure of the second connection proves nothing */
    struct pg_target target = {.name = PQhost(self->connection),
                               .address = PQhostaddr(self->connection),
                               .port = PQport(self->connection)};
    if (!pool->is_pooled || pool->is_session) {
        return false;
    }
    if (target.address != NULL && target.address[0] == '\0') {
        target.address = NULL; /* a socket of this machine */
    }
    pool->second = pg_connect_begin(self->config, &target, false, self->secret, &error);
    pool->polling = PGRES_POLLING_WRITING;
    pool->asked = 0;
    pool->pids[0] = 0;
    pool->pids[1] = 0;
    pool->deadline_us = now_us + PATIENCE_US;
    return pool->second != NULL;
}

void
pg_pool_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    if (self->pool.second != NULL && PQresultStatus(result) == PGRES_TUPLES_OK) {
        take(self, 0, pg_rows_int4(result, 0, 0), now_us);
    }
}

static void
connect_on(struct source_postgres *self, uint64_t now_us)
{
    struct pg_pool *pool = &self->pool;
    pool->polling = PQconnectPoll(pool->second);
    if (pool->polling == PGRES_POLLING_OK) {
        ask(self, now_us);
    } else if (pool->polling == PGRES_POLLING_FAILED) {
        go_on(self, now_us);
    }
}

static void
receive(struct source_postgres *self, uint64_t now_us)
{
    PGconn *const second = self->pool.second;
    int32_t pid = 0;
    if (!pg_request_consume(second)) {
        go_on(self, now_us);
        return;
    }
    while (PQisBusy(second) == 0) {
        PGresult *const result = PQgetResult(second);
        if (result == NULL) {
            break;
        }
        if (PQresultStatus(result) == PGRES_TUPLES_OK) {
            pid = pg_rows_int4(result, 0, 0);
        }
        PQclear(result);
    }
    if (pid != 0) {
        take(self, 1, pid, now_us);
    }
}

void
pg_pool_process(struct source_postgres *self, short revents, uint64_t now_us)
{
    if (self->pool.second == NULL) {
        return;
    }
    if (now_us >= self->pool.deadline_us) {
        go_on(self, now_us);
    } else if (revents != 0 && self->pool.polling != PGRES_POLLING_OK) {
        connect_on(self, now_us);
    } else if (revents != 0) {
        receive(self, now_us);
    }
}

void
pg_pool_poll(const struct source_postgres *self, struct pollfd *ret_poll)
{
    const struct pg_pool *pool = &self->pool;
    const bool writes = pool->polling == PGRES_POLLING_WRITING;
    *ret_poll = (struct pollfd){.fd = PQsocket(pool->second), .events = writes ? POLLOUT : POLLIN};
}
