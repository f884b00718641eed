#include "tests/integration/write_fixture.h"

#include "tests/integration/db_fixture_private.h"

static const struct write_fixture_kind *
kind(void)
{
    return db_choose(&write_fixture_postgres, &write_fixture_mysql);
}

outbox_result
write_fixture_message(struct db *tx, const struct outbox_message *message,
                      struct outbox_error *reterr)
{
    return write_fixture_many(tx, message, 1, NULL, reterr);
}

outbox_result
write_fixture_many(struct db *tx, const struct outbox_message *messages, size_t count,
                   struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    return kind()->many(db_conn(tx), messages, count, ret_ids, reterr);
}

const char *
write_fixture_sql(enum write_fixture_sql which)
{
    return kind()->sql[which];
}

struct write_fixture_words
write_fixture_words(enum write_fixture_error which)
{
    return kind()->words[which];
}

void
write_fixture_text(struct db *db, const char *text)
{
    kind()->text(db_conn(db), text);
}

bool
write_fixture_returns(struct db *db)
{
    return kind()->returns(db_conn(db));
}

void
write_fixture_make_by_hand(void)
{
    kind()->make_by_hand();
}

bool
write_fixture_goes_on(void)
{
    return kind()->goes_on;
}
