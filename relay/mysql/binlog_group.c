/* Where groups begin and end. In MySQL a group begins with a GTID (an anonymous one without gtid_mode), and a
 * transaction then with BEGIN or XA START. In MariaDB the GTID says whether the group is a transaction. A transaction
 * ends with XID (InnoDB took part), COMMIT, XA_PREPARE, or ROLLBACK (the log keeps the changes that could not be rolled
 * back; the rows of the outbox are not in the table then). */
#include <stdio.h>

#include "relay/mysql/binlog_private.h"
#include "relay/mysql/binlog_query.h"

/* Flags of MariaDB's GTID. */
enum { GTID_STANDALONE = 0x01, GTID_PREPARED_XA = 0x40 };

static bool
none_begun(const struct my_binlog *binlog, struct error *reterr)
{
    return my_binlog_not_understood(binlog, "no transaction was begun before it", reterr);
}

static bool
not_ended(const struct my_binlog *binlog, struct error *reterr)
{
    return my_binlog_not_understood(binlog, "the transaction before it has not ended", reterr);
}

bool
my_group_begin(struct my_binlog *binlog, uint64_t start, enum my_group group, struct error *reterr)
{
    if (binlog->group != MY_GROUP_NONE) {
        return not_ended(binlog, reterr);
    }
    binlog->group = group;
    binlog->group_position = start;
    binlog->is_xa = false;
    return true;
}

bool
my_group_begin_mariadb(struct my_binlog *binlog, const struct my_event *event, uint64_t start,
                       struct error *reterr)
{
    struct reader reader = reader_of(event->body);
    (void)read_little(&reader, 8); /* sequence number */
    (void)read_little(&reader, 4); /* domain */
    const uint8_t flags = read_u8(&reader);
    if (reader.bad) {
        return my_binlog_no_such_form(binlog, reterr);
    }
    const enum my_group group = (flags & GTID_STANDALONE) != 0 ? MY_GROUP_ALONE : MY_GROUP_OPEN;
    if (!my_group_begin(binlog, start, group, reterr)) {
        return false;
    }
    binlog->is_xa = (flags & GTID_PREPARED_XA) != 0;
    return true;
}

bool
my_group_require(const struct my_binlog *binlog, struct error *reterr)
{
    return binlog->group == MY_GROUP_OPEN || none_begun(binlog, reterr);
}

bool
my_group_close(struct my_binlog *binlog, struct error *reterr)
{
    if (!my_group_require(binlog, reterr)) {
        return false;
    }
    binlog->group = MY_GROUP_NONE;
    return true;
}

/* ---- two phases ---- */

static void
give_xid(struct my_binlog *binlog, enum my_binlog_type type, struct span xid)
{
    binlog->item = (struct my_binlog_item){
        .type = type,
        .position = binlog->group_position,
        .xid = xid,
    };
}

static char *
put_hex(char *at, struct span bytes)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *const from = bytes.data;
    *at++ = 'X';
    *at++ = '\'';
    for (size_t i = 0; i < bytes.size; i++) {
        *at++ = digits[from[i] >> 4];
        *at++ = digits[from[i] & 0xf];
    }
    *at++ = '\'';
    *at++ = ',';
    return at;
}

/* XA_PREPARE has a flag for a commit in one phase, the number of the format, the lengths of the two parts, and the
 * parts. */
bool
my_group_prepare(struct my_binlog *binlog, const struct my_event *event, struct error *reterr)
{
    struct reader reader = reader_of(event->body);
    const bool at_once = read_u8(&reader) != 0;
    const uint32_t format = (uint32_t)read_little(&reader, 4);
    const uint64_t first_size = read_little(&reader, 4);
    const uint64_t second_size = read_little(&reader, 4);
    const struct span first = read_bytes(&reader, first_size);
    const struct span second = read_bytes(&reader, second_size);
    if (reader.bad || first_size > MY_XID_PART_BYTES_MAX || second_size > MY_XID_PART_BYTES_MAX) {
        return my_binlog_no_such_form(binlog, reterr);
    }
    char *at = put_hex(put_hex(binlog->xid, first), second);
    at += snprintf(at, sizeof(binlog->xid) - (size_t)(at - binlog->xid), "%u", format); /* fits */
    give_xid(binlog, at_once ? MY_BINLOG_COMMITTED : MY_BINLOG_PREPARED,
             (struct span){binlog->xid, (size_t)(at - binlog->xid)});
    return my_group_close(binlog, reterr);
}

/* A commit or rollback of a prepared transaction: a single statement after a GTID. */
static bool
finish_xa(struct my_binlog *binlog, enum my_binlog_type type, struct span xid, struct error *reterr)
{
    if (binlog->group == MY_GROUP_NONE) {
        return none_begun(binlog, reterr);
    }
    give_xid(binlog, type, xid);
    binlog->group = MY_GROUP_NONE;
    return true;
}

/* ---- statements ---- */

struct query {
    struct span schema; /* the default schema of the session */
    struct span text;
};

/* QUERY has thread and time, the length of the schema's name, an error code, the length of the status variables; then
 * the status variables, the name and a zero, and the statement. */
static bool
read_query(struct my_binlog *binlog, const struct my_event *event, struct query *ret_query,
           struct error *reterr)
{
    struct reader reader = reader_of(event->body);
    (void)read_bytes(&reader, 8);
    const uint8_t schema_size = read_u8(&reader);
    (void)read_little(&reader, 2);
    const uint64_t told_size = read_little(&reader, 2);
    (void)read_bytes(&reader, told_size);
    ret_query->schema = read_bytes(&reader, schema_size);
    (void)read_u8(&reader);
    if (reader.bad) {
        return my_binlog_no_such_form(binlog, reterr);
    }
    ret_query->text = (struct span){reader.at, (size_t)(reader.end - reader.at)};
    return event->type != MY_EVENT_QUERY_COMPRESSED ||
           my_inflate_record(binlog->inflate, ret_query->text, &ret_query->text, reterr);
}

static bool
open_transaction(struct my_binlog *binlog, uint64_t start, bool is_xa, struct error *reterr)
{
    if (binlog->group == MY_GROUP_OPEN) {
        return not_ended(binlog, reterr);
    }
    if (binlog->group == MY_GROUP_NONE && !my_group_begin(binlog, start, MY_GROUP_BEGUN, reterr)) {
        return false;
    }
    binlog->group = MY_GROUP_OPEN;
    binlog->is_xa = is_xa;
    return true;
}

/* True if the statement may concern tables of the outbox's schema: it is the default schema, or the statement names
 * it. */
static bool
may_be_about_schema(const struct my_binlog *binlog, const struct query *query)
{
    return my_query_names(query->schema, binlog->table.schema) ||
           my_query_names(query->text, binlog->table.schema);
}

static bool
define(struct my_binlog *binlog, const struct query *query, struct error *reterr)
{
    if (my_query_names(query->text, binlog->table.name) && may_be_about_schema(binlog, query)) {
        return error_set(reterr, ERROR_TRANSIENT,
                         "the log has a statement about the definition of table %s, and is begun "
                         "anew behind it",
                         binlog->table.name);
    }
    if (binlog->group != MY_GROUP_OPEN) {
        binlog->group = MY_GROUP_NONE;
    }
    return true;
}

/* Whatever table the statement names, a trigger or a function may write to the outbox. (A trigger in another schema can
 * do so too, and this cannot be seen here; the sweep finds such rows.) The error does not quote the statement, because
 * its values must not appear in the relay's log. */
static bool
pass_statement(const struct my_binlog *binlog, const struct query *query, struct error *reterr)
{
    return !may_be_about_schema(binlog, query) ||
           error_set(reterr, ERROR_CONFIG,
                     "the log has a statement instead of the rows that it changes, and it may "
                     "write the outbox: let all sessions have binlog_format = ROW");
}

bool
my_group_query(struct my_binlog *binlog, const struct my_event *event, uint64_t start,
               struct error *reterr)
{
    struct query query;
    struct span rest;
    if (!read_query(binlog, event, &query, reterr)) {
        return false;
    }
    switch (my_query_kind_of(query.text, &rest)) {
    case MY_QUERY_BEGIN:
        return open_transaction(binlog, start, false, reterr);
    case MY_QUERY_XA_START:
        return open_transaction(binlog, start, true, reterr);
    case MY_QUERY_COMMIT:
    case MY_QUERY_ROLLBACK:
        return my_group_close(binlog, reterr);
    case MY_QUERY_XA_COMMIT:
        return finish_xa(binlog, MY_BINLOG_COMMITTED, rest, reterr);
    case MY_QUERY_XA_ROLLBACK:
        return finish_xa(binlog, MY_BINLOG_ROLLED_BACK, rest, reterr);
    case MY_QUERY_SAVEPOINT:
    case MY_QUERY_XA_END:
        return my_group_require(binlog, reterr);
    case MY_QUERY_DEFINITION:
        return define(binlog, &query, reterr);
    case MY_QUERY_ROWS:
        return pass_statement(binlog, &query, reterr);
    }
    return my_binlog_no_such_form(binlog, reterr);
}
