#include <assert.h>

#include "relay/source_postgres_private.h"

/* After a row that was too large for the cheap statement, so many fetches count bytes: large
 * rows seldom come alone. */
#define EXACT_FETCHES 32

static enum pg_statement
statement_of(const struct pg_fetch *fetch)
{
    switch (fetch->kind) {
    case FETCH_NEXT:
        return fetch->exact ? PG_FETCH_NEXT_EXACT : PG_FETCH_NEXT;
    case FETCH_DUE:
        return PG_FETCH_DUE;
    case FETCH_IDS:
        return PG_FETCH_IDS;
    }
    assert(false);
    return PG_FETCH_NEXT;
}

/* The cheap statement bounds the batch by bounding each row to its equal share. */
static int64_t
bytes_parameter(const struct pg_fetch *fetch)
{
    const bool share = fetch->kind == FETCH_NEXT && !fetch->exact;
    const uint64_t bytes = share ? fetch->bytes_max / fetch->rows_max : fetch->bytes_max;
    return bytes < INT64_MAX ? (int64_t)bytes : INT64_MAX;
}

static void
send_fetch(struct source_postgres *self, uint64_t now_us)
{
    const struct pg_fetch *fetch = &self->fetch;
    struct pg_parameters parameters = {.count = 0};
    if (fetch->kind == FETCH_NEXT) {
        pg_parameters_int8(&parameters, fetch->after_id);
    }
    pg_parameters_array(&parameters, &fetch->ids);
    if (fetch->kind != FETCH_IDS) {
        pg_parameters_array(&parameters, &fetch->keys);
    }
    pg_parameters_int8(&parameters,
                       (int64_t)fetch->rows_max + 1); /* one more says that it is not all */
    pg_parameters_int8(&parameters, bytes_parameter(fetch));
    if (pg_request_send(self, statement_of(fetch), &parameters, now_us)) {
        (void)pg_request_end(self, PG_REQUEST_FETCH, now_us); /* a loss was told */
    }
}

void
pg_fetch_ask(struct source_postgres *self, const struct fetch *fetch, uint64_t now_us)
{
    struct pg_fetch *mine = &self->fetch;
    assert(!mine->outstanding && fetch->rows_max > 0 && fetch->bytes_max > 0);
    mine->outstanding = true;
    mine->kind = fetch->kind;
    mine->after_id = fetch->after_id;
    mine->rows_max = fetch->rows_max;
    mine->bytes_max = fetch->bytes_max;
    mine->exact = mine->exact_left > 0;
    pg_parameters_encode(&mine->ids, fetch->ids, fetch->id_count);
    pg_parameters_encode(&mine->keys, fetch->keys, fetch->key_count);
    send_fetch(self, now_us);
}

/* Whether the cheap statement met a row above its share. */
static bool
was_cut(const struct pg_fetch *fetch, const struct batch *batch)
{
    return fetch->kind == FETCH_NEXT && !fetch->exact && !batch->complete &&
           batch->count < fetch->rows_max;
}

void
pg_fetch_answer_take(struct source_postgres *self, PGresult *result, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    struct error error;
    struct batch *batch = pg_rows_decode_take(result, fetch->rows_max, &error);
    if (batch == NULL) {
        pg_session_lost(self, &error, now_us);
        return;
    }
    if (fetch->kind == FETCH_NEXT && fetch->exact_left > 0) {
        fetch->exact_left--;
    }
    if (was_cut(fetch, batch)) {
        fetch->exact_left = EXACT_FETCHES;
    }
    if (was_cut(fetch, batch) && batch->count == 0) {
        batch_free(batch);
        fetch->exact = true;
        send_fetch(self, now_us);
        return;
    }
    fetch->outstanding = false;
    pg_event_push(self, SOURCE_ROWS, batch, 0, NULL);
}
