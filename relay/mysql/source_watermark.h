/* relay/mysql/source_watermark.h - why the rule of relay/ports/watermark.h holds on MariaDB and MySQL, and where its
 * lists come from.
 *
 * Ids come from the table's auto_increment, in every innodb_autoinc_lock_mode: each statement moves the counter when it
 * takes an id or a block of them, and the counter can be read (auto_increment.sql). A writer takes a metadata lock on
 * the table (SHARED_WRITE, or a stronger lock by LOCK TABLES) when its first statement opens the table, before it takes
 * an id, and keeps the lock to the end of its transaction. The commit in the engine, which makes the rows visible,
 * comes before the locks are released. The last id is not read from the rows: max(id) would walk over all deleted rows
 * that are not purged yet.
 *
 * The holders of such locks are listed
 *   - in MySQL by performance_schema.metadata_locks, which is on by default;
 *   - in MariaDB by the plugin metadata_lock_info, or by the performance schema with its instrument wait/lock/metadata/sql/mdl.
 * information_schema.innodb_trx is not usable as a list: it is refreshed only when nobody has read it for 0.1 s, so a
 * monitor that reads it more often keeps it unchanged (measured, MariaDB 10.11: 9 of 10 transactions were not listed
 * for 1.5 s). A list is trusted only if it contains the lock that the query itself takes, and, for the performance
 * schema, if no lock was ever left out for lack of memory.
 *
 * Holders are identified by their sessions, because the plugin does not know transactions. A session that begins its
 * next transaction between two looks counts as one that goes on; it has ended for the first look that does not find it.
 *
 * XA. MySQL keeps the locks of a prepared transaction on the list, under the session that prepared it, until its commit
 * is visible (sql/xa/sql_xa_second_phase.cc: the backup of its locks is deleted after the commit). MariaDB releases
 * them with the session; from before that until after its commit the transaction is listed by XA RECOVER (sql/xa.cc),
 * which is asked after the list of locks. These are the orphans of the rule. XA RECOVER does not tell which tables a
 * transaction used: an abandoned one of another database keeps ids from being final.
 *
 * If the counter goes back, ids that were final become possible again. Causes are a truncate, another table renamed to
 * this name, and an alter table; also a server that needs memory for table definitions may read the counter anew,
 * without the ids that were reserved and not used. Then the relay ends its ownership, forgets what it knows about ids,
 * and reads the whole table. The counter is checked with each look, and about once a second while nobody waits for one.
 * If new ids have passed the highest old one before the check, nothing shows it, and the sweep finds those rows.
 *
 * If there is no list, no id is ever final: each look at the table begins at its first row. Nothing is missed then, but
 * it is slow where many deleted rows are not purged yet. The relay says once what an administrator can do.
 *
 * Ids that do not come from the counter: those that an INSERT names.
 *
 * Other servers that write (Galera, group replication with many primaries, replication in a ring) take their ids without
 * a lock of this server, and their rows arrive at their commits, when this server may have given out higher ids already.
 * So no id is final there, and each look at the table begins at its first row. (Seen without this rule, with two nodes
 * of Galera: 15 of 9,775 rows were found by the sweep, after later rows of their keys.) Only while the log is read an id
 * is told, which the sweep needs. Positions are found as everywhere, but not by the shortcut that rests on ids: the
 * session that applies the rows of other servers holds the lock like any writer. */
#ifndef RELAY_MYSQL_SOURCE_WATERMARK_H
#define RELAY_MYSQL_SOURCE_WATERMARK_H

#include "relay/mysql/link.h"
#include "relay/ports/watermark.h"

/* One look. */
struct my_watermark {
    struct my_job job;
    struct watermark mark; /* used by the pipeline's thread */
    bool told;             /* a notice said that there is no list, or that other servers write */
    /* If other servers write: up to this id only their rows can still appear; used by the pipeline's thread. */
    int64_t final_own_id;
    /* The last finished look had a list of writers; used by the pipeline's thread. */
    bool has_writers;
    /* The highest end of the log that was seen; used by the pipeline's thread. */
    log_position reached;
    int64_t highest_id; /* the highest last id that was seen; used by the pipeline's thread */
    /* The results of the look. While it is out, only the link's thread uses them. */
    log_position log_end; /* 0: there is no log, or the account may not ask */
    bool has_list;
    int64_t last_id;
    struct watermark_writer *writers;
    size_t count;
    size_t capacity;
};

/* Looks at the server once. Blocks. The caller frees watermark->writers by memory_free. False: see the session. */
bool my_watermark_look(struct my_session *session, struct my_watermark *watermark) MUST_CHECK;

/* The last id that the counter gave out; -1: there is no table, as between two renames of it. Blocks. False: see the
 * session. */
bool my_last_id_ask(struct my_session *session, int64_t *ret_id) MUST_CHECK;

#endif
