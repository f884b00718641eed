/* relay/mysql/binlog_private.h - what the files of the decoder share.
 *
 *   binlog.c         one event: header, checksum, dispatch by type; compressed transactions
 *   binlog_file.c    the position in the log
 *   binlog_group.c   where transactions begin and end, and the effect of statements
 *   binlog_query.c   recognises statements
 *   binlog_table.c   the description of the outbox
 *   binlog_rows.c    the rows of an event
 *   binlog_values.c  the values of a row */
#ifndef RELAY_MYSQL_BINLOG_PRIVATE_H
#define RELAY_MYSQL_BINLOG_PRIVATE_H

#include "relay/mysql/binlog.h"
#include "relay/mysql/binlog_rows.h"
#include "relay/mysql/binlog_table.h"
#include "relay/mysql/hash.h"
#include "relay/mysql/inflate.h"

#define MY_CHECKSUM_BYTES 4
#define MY_XID_PART_BYTES_MAX 64
#define MY_XID_TEXT_BYTES (sizeof("X'',X'',4294967295") + 2 * 2 * MY_XID_PART_BYTES_MAX)

enum my_event_type {
    MY_EVENT_QUERY = 2,
    MY_EVENT_STOP = 3,
    MY_EVENT_ROTATE = 4,
    MY_EVENT_INTVAR = 5,
    MY_EVENT_RAND = 13,
    MY_EVENT_USER_VAR = 14,
    MY_EVENT_FORMAT_DESCRIPTION = 15,
    MY_EVENT_XID = 16,
    MY_EVENT_TABLE_MAP = 19,
    MY_EVENT_WRITE_ROWS_V1 = 23,
    MY_EVENT_UPDATE_ROWS_V1 = 24,
    MY_EVENT_DELETE_ROWS_V1 = 25,
    MY_EVENT_INCIDENT = 26,
    MY_EVENT_HEARTBEAT = 27,
    MY_EVENT_IGNORABLE = 28,
    MY_EVENT_ROWS_QUERY = 29,
    MY_EVENT_WRITE_ROWS = 30,
    MY_EVENT_UPDATE_ROWS = 31,
    MY_EVENT_DELETE_ROWS = 32,
    MY_EVENT_GTID = 33,
    MY_EVENT_ANONYMOUS_GTID = 34,
    MY_EVENT_PREVIOUS_GTIDS = 35,
    MY_EVENT_TRANSACTION_CONTEXT = 36, /* this and the next: group replication */
    MY_EVENT_VIEW_CHANGE = 37,
    MY_EVENT_XA_PREPARE = 38, /* in MariaDB too */
    MY_EVENT_PARTIAL_UPDATE_ROWS = 39,
    MY_EVENT_TRANSACTION_PAYLOAD = 40,
    MY_EVENT_HEARTBEAT_V2 = 41,
    MY_EVENT_GTID_TAGGED = 42,
    /* Only in MariaDB. */
    MY_EVENT_ANNOTATE_ROWS = 160,
    MY_EVENT_BINLOG_CHECKPOINT = 161,
    MY_EVENT_MARIADB_GTID = 162,
    MY_EVENT_GTID_LIST = 163,
    MY_EVENT_START_ENCRYPTION = 164,
    MY_EVENT_QUERY_COMPRESSED = 165,
    MY_EVENT_WRITE_ROWS_COMPRESSED_V1 = 166,
    MY_EVENT_UPDATE_ROWS_COMPRESSED_V1 = 167,
    MY_EVENT_DELETE_ROWS_COMPRESSED_V1 = 168,
    MY_EVENT_WRITE_ROWS_COMPRESSED = 169,
    MY_EVENT_UPDATE_ROWS_COMPRESSED = 170,
    MY_EVENT_DELETE_ROWS_COMPRESSED = 171,
};

enum { MY_EVENT_FLAG_ARTIFICIAL = 0x20, MY_EVENT_FLAG_IGNORABLE = 0x80 };

struct my_event {
    uint8_t type; /* enum my_event_type, or another */
    uint16_t flags;
    uint32_t size; /* with the header and the checksum */
    uint32_t end;  /* where in its file it ends, modulo 2^32; 0: it is not in a file */
    struct span body;
};

enum my_group {
    MY_GROUP_NONE,
    MY_GROUP_BEGUN, /* MySQL: its GTID came, but not yet its first statement */
    MY_GROUP_ALONE, /* MariaDB: the same, and it has only that statement */
    MY_GROUP_OPEN,  /* a transaction */
};

struct my_binlog {
    struct my_table table;
    struct my_log log;
    uint64_t position; /* all groups before it have been given */
    uint64_t offset;   /* where in its file the last event ended; may be over 4 GiB */
    bool checksums;
    enum my_group group;
    bool is_xa; /* the group ends by being prepared */
    uint64_t group_position;
    struct my_rows rows;        /* the rows that are being given */
    struct my_binlog_item item; /* given after the rows; NOTHING: there is none */
    char xid[MY_XID_TEXT_BYTES];
    struct my_inflate *inflate;
    bool inside; /* inside a compressed transaction, whose events have no positions of their own */
    struct my_hash hash;
    uint64_t message_bytes_max;
    uint8_t event_type; /* type of the last event, for error messages */
};

bool my_binlog_not_understood(const struct my_binlog *binlog, const char *why,
                              struct error *reterr);
bool my_binlog_no_such_form(const struct my_binlog *binlog, struct error *reterr);

/* binlog_file.c */
/* *ret_start: where the event begins, from its header; inside a compressed transaction: where that begins. Must be
 * called for each event. */
bool my_binlog_place(struct my_binlog *binlog, const struct my_event *event, uint64_t *ret_start,
                     struct error *reterr) MUST_CHECK;
bool my_binlog_rotate(struct my_binlog *binlog, const struct my_event *event,
                      struct error *reterr) MUST_CHECK;
bool my_binlog_format(struct my_binlog *binlog, const struct my_event *event,
                      struct error *reterr) MUST_CHECK;

/* binlog_group.c */
/* start: where the first event of the group begins. */
bool my_group_begin(struct my_binlog *binlog, uint64_t start, enum my_group group,
                    struct error *reterr) MUST_CHECK;
bool my_group_begin_mariadb(struct my_binlog *binlog, const struct my_event *event, uint64_t start,
                            struct error *reterr) MUST_CHECK;
/* False with *reterr if no transaction is open. */
bool my_group_require(const struct my_binlog *binlog, struct error *reterr) MUST_CHECK;
bool my_group_close(struct my_binlog *binlog, struct error *reterr) MUST_CHECK;
bool my_group_prepare(struct my_binlog *binlog, const struct my_event *event,
                      struct error *reterr) MUST_CHECK;
bool my_group_query(struct my_binlog *binlog, const struct my_event *event, uint64_t start,
                    struct error *reterr) MUST_CHECK;

#endif
