/* relay/ports/admin_held.h - listing and counting held messages, and what an operator can do to them. */
#ifndef RELAY_PORTS_ADMIN_HELD_H
#define RELAY_PORTS_ADMIN_HELD_H

#include "relay/ports/admin.h"
#include "relay/ports/held_reason.h"

/* Ids of held messages: ascending and each once, but a filter of admin_held_count or admin_held_list takes any. */
struct admin_ids {
    int64_t *items; /* from memory_array: whoever gets the list uses memory_free */
    size_t count;
};

/* Which held messages are meant; a field that is NULL or 0 selects all. */
struct admin_filter {
    const struct admin_ids *ids; /* an empty list selects none */
    const char *state;
    const char *key;
    const char *type;
    const char *reason; /* a text that the last error contains */
    uint64_t older_than_us;
    const int64_t *after; /* only for admin_held_list: messages with higher ids */
};

/* A row of outbox_held. NULL stands for NULL. */
struct admin_message {
    int64_t id;
    const char *message_id;
    const char *state;
    bool skipped;
    uint32_t attempts;
    const char *key;
    const char *type;
    const char *exchange;
    const char *routing_key;
    const char *content_type;
    const char *last_error;
    uint64_t payload_bytes;
    int64_t next_attempt_us;
    int64_t held_us;
    int64_t created_us;
    int64_t deliver_after_us;
    const char *headers; /* only of whole messages: JSON */
    uint8_t *payload;    /* only of whole messages, where it is not NULL even if it is empty */
    int64_t now_us;
    /* A text is not valid UTF-8: in all texts the bytes that are not ASCII are written as \ooo. */
    bool escaped;
};

/* The order of the columns of held_list.sql: a convention, nothing but the kinds of database uses it. */
enum held_column {
    HELD_COLUMN_ID,
    HELD_COLUMN_MESSAGE_ID,
    HELD_COLUMN_STATE,
    HELD_COLUMN_SKIPPED,
    HELD_COLUMN_ATTEMPTS,
    HELD_COLUMN_KEY,
    HELD_COLUMN_TYPE,
    HELD_COLUMN_EXCHANGE,
    HELD_COLUMN_ROUTING_KEY,
    HELD_COLUMN_CONTENT_TYPE,
    HELD_COLUMN_LAST_ERROR,
    HELD_COLUMN_PAYLOAD_BYTES,
    HELD_COLUMN_NEXT_ATTEMPT,
    HELD_COLUMN_HELD,
    HELD_COLUMN_CREATED,
    HELD_COLUMN_DELIVER_AFTER,
    HELD_COLUMN_HEADERS,
    HELD_COLUMN_PAYLOAD,
    HELD_COLUMN_NOW,
};

struct admin_messages {
    struct admin_message *messages;
    size_t count;
    /* There are fewer than asked for, because a text of the next one is not valid UTF-8: go on after the last. */
    bool cut;
    struct admin_rows rows;
};
void admin_messages_free(struct admin_messages *messages);

/* In the order of ids. limit 0: no limit, for a filter that names a few ids. whole: with headers and payload. */
bool admin_held_list(struct admin *admin, const struct admin_filter *filter, uint64_t limit,
                     bool whole, struct admin_messages *ret_messages,
                     struct error *reterr) MUST_CHECK;

/* How many of each state the filter selects, and their ids. */
bool admin_held_count(struct admin *admin, const struct admin_filter *filter,
                      struct admin_counts *ret_counts, struct admin_ids *ret_ids,
                      struct error *reterr) MUST_CHECK;

/* How many are held for a reason of each class: of each state at most HELD_REASON_MESSAGES, in no order. */
bool admin_held_reasons(struct admin *admin, struct held_reasons *ret_reasons,
                        struct error *reterr) MUST_CHECK;

/* The ids of the messages with this name; several can have the same message id. */
bool admin_held_find(struct admin *admin, const struct admin_name *name, struct admin_ids *ret_ids,
                     struct error *reterr) MUST_CHECK;

/* Where a message with a key stands in it. */
struct admin_place {
    struct admin_messages head; /* the message that holds the key back: one, or none */
    uint64_t waiting;           /* messages behind the head; at most ADMIN_MANY + 1 */
    uint64_t before;            /* how many of those are before this message */
};
bool admin_held_place(struct admin *admin, const char *key, int64_t id,
                      struct admin_place *ret_place, struct error *reterr) MUST_CHECK;
void admin_place_free(struct admin_place *place);

/* A message behind which others wait. */
struct admin_head {
    int64_t id;
    const char *message_id; /* NULL: there is no head; a relay is about to release the others */
    const char *state;
    uint64_t waiting;
};
struct admin_heads {
    struct admin_head *heads;
    size_t count;
    struct admin_rows rows;
};
bool admin_held_heads_of(struct admin *admin, const struct admin_ids *ids,
                         struct admin_heads *ret_heads, struct error *reterr) MUST_CHECK;
void admin_heads_free(struct admin_heads *heads);

/* Messages that an act changed, counted by their states before it. */
struct admin_done {
    struct admin_counts counts;
    uint64_t freed; /* discard: keys that go on with the messages behind a discarded one */
};

/* Each is one transaction, and writes a row for each message to outbox_held_act. filter->ids must be given; messages
 * that are gone meanwhile, or do not match the filter any more, are left out. who: the operator. */
bool admin_held_retry(struct admin *admin, const struct admin_filter *filter, const char *who,
                      struct admin_done *ret_done, struct error *reterr) MUST_CHECK;
bool admin_held_discard(struct admin *admin, const struct admin_filter *filter, const char *who,
                        struct admin_done *ret_done, struct error *reterr) MUST_CHECK;

/* What operators did to a message, the oldest first. */
struct admin_act {
    int64_t at_us;
    const char *who;
    const char *what;  /* "retry", "discard" */
    const char *state; /* state before the act */
    int64_t held_id;
    const char *message_id;
    bool seen; /* the relay has seen it */
};
struct admin_acts {
    struct admin_act *acts;
    size_t count;
    struct admin_rows rows;
};
bool admin_held_acts(struct admin *admin, const struct admin_name *name,
                     struct admin_acts *ret_acts, struct error *reterr) MUST_CHECK;
void admin_acts_free(struct admin_acts *acts);

#endif
