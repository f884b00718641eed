#include "tests/integration/inbox_fixture.h"

#include "tests/integration/db_fixture_private.h"
#include "tests/integration/inbox_fixture_private.h"

static const struct inbox_fixture_kind *
kind(void)
{
    return db_choose(&inbox_fixture_postgres, &inbox_fixture_mysql);
}

static void *
conn_of(struct db *db)
{
    return db == NULL ? NULL : db_conn(db);
}

struct db *
inbox_fixture_create(void)
{
    struct db *db = db_create();
    kind()->load(db_conn(db));
    return db;
}

void
inbox_fixture_drop(struct db *db)
{
    kind()->unload();
    db_drop(db);
}

inbox_result
inbox_fixture_claim_many(struct db *tx, const char *consumer, const struct inbox_id *ids,
                         size_t id_count, inbox_verdict *ret_verdicts, struct inbox_error *reterr)
{
    return kind()->claim_many(conn_of(tx), consumer, ids, id_count, ret_verdicts, reterr);
}

inbox_result
inbox_fixture_claim(struct db *tx, const char *consumer, const void *message_id,
                    size_t message_id_length, inbox_verdict *ret_verdict,
                    struct inbox_error *reterr)
{
    return kind()->claim(conn_of(tx), consumer, message_id, message_id_length, ret_verdict, reterr);
}

inbox_result
inbox_fixture_advance(struct db *tx, const char *consumer, const void *key, size_t key_length,
                      int64_t version, inbox_verdict *ret_verdict, struct inbox_error *reterr)
{
    return kind()->advance(conn_of(tx), consumer, key, key_length, version, ret_verdict, reterr);
}

inbox_result
inbox_fixture_forget(struct db *db, uint64_t age_s, uint32_t limit, uint64_t *ret_forgotten,
                     struct inbox_error *reterr)
{
    return kind()->forget(conn_of(db), age_s, limit, ret_forgotten, reterr);
}

void
inbox_fixture_end_thread(void)
{
    kind()->end_thread();
}

inbox_result
inbox_fixture_look(struct db *db, struct inbox_error *reterr)
{
    return kind()->look(conn_of(db), reterr);
}

bool
inbox_fixture_claim_by_hand(struct db *tx, const char *consumer, const char *message_id)
{
    return kind()->claim_by_hand(conn_of(tx), consumer, message_id);
}

bool
inbox_fixture_advance_by_hand(struct db *tx, const char *consumer, const char *key, int version)
{
    return kind()->advance_by_hand(conn_of(tx), consumer, key, version);
}

const char *
inbox_fixture_sql(enum inbox_fixture_sql which)
{
    return kind()->sql[which];
}

struct inbox_fixture_words
inbox_fixture_words(enum inbox_fixture_error which)
{
    return kind()->words[which];
}

bool
inbox_fixture_sees_all(void)
{
    return kind()->sees_all;
}
