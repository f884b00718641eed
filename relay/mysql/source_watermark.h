/* relay/mysql/source_watermark.h - why the rule of relay/ports/watermark.h holds on MariaDB and MySQL, and where its lists come
 * from.
 *
 * Ids come from the table's auto_increment, in every innodb_autoinc_lock_mode: each statement moves the counter when it takes an
 * id or a block of them, and the counter can be read (auto_increment.sql). Whoever writes locks the table's metadata
 * (SHARED_WRITE, or a stronger lock by LOCK TABLES) when his first statement opens it, before it takes an id, and keeps that to the
 * end of his transaction; the engine's commit, by which the rows become visible, comes before locks are let go. Not the
 * rows are asked for the last id: max(id) would walk over all that was deleted and is not purged yet.
 *
 * Who holds such a lock is said by
 *   - MySQL: performance_schema.metadata_locks, which is on there;
 *   - MariaDB: the plugin metadata_lock_info, or the performance schema with its instrument wait/lock/metadata/sql/mdl.
 * information_schema.innodb_trx is no such list: it is filled anew only when nobody has read it for 0.1 s, so a monitor that asks
 * more often keeps it as it was (measured, MariaDB 10.11: 9 of 10 transactions unseen for 1.5 s). A list is believed only if it has the
 * lock that the question itself takes, and, by the performance schema, if no lock was ever left out for want of room.
 *
 * Holders are named by their sessions: not by transactions, which the plugin does not know. A session that begins its next
 * transaction between two looks counts as one that goes on; it is over for the look that finds it without.
 *
 * XA. MySQL keeps the locks of a prepared transaction on the list, under the session that prepared it, until its commit is
 * visible (sql/xa/sql_xa_second_phase.cc: the backup of its locks is deleted behind the commit). MariaDB lets go of them with
 * the session; from before that until after its commit the transaction is among those of XA RECOVER (sql/xa.cc), which is asked after
 * the list of locks. These are the orphans of the rule. XA RECOVER does not say which tables they are about: one of another
 * database that is left lying keeps ids from being final.
 *
 * A counter that is lower than it was (truncate, another table of the name, alter table; a server that needs room for definitions may
 * read it anew, without the blocks that were given out and not used) makes ids possible again that were final. What is known of
 * ids is forgotten then, with the ownership, and all of the table is read. It is looked at with each look, and about once a
 * second while nobody waits for one; where new ids have passed the highest one meanwhile nothing tells, and the sweep finds them.
 *
 * Where neither list can be had nothing is ever final: each look at the table begins at its first row. Nothing is missed then; it
 * is slow where much that was deleted is not purged yet. The relay says once what an administrator can do.
 *
 * An id of one's own: any that an INSERT names; and in a cluster with several writers those of the other nodes. */
#ifndef RELAY_MYSQL_SOURCE_WATERMARK_H
#define RELAY_MYSQL_SOURCE_WATERMARK_H

#include "relay/mysql/link.h"
#include "relay/ports/watermark.h"

/* One look. */
struct my_watermark {
    struct my_job job;
    struct watermark mark; /* the pipeline's */
    bool told;             /* that there is no list */
    bool has_writers;      /* the last look that came back had a list of them; the pipeline's */
    log_position reached;  /* the highest end of the log that was seen, */
    int64_t highest_id;    /* and the highest last id; the pipeline's, both */
    /* What the look has found. While it is out these are the link's. */
    log_position log_end; /* 0: there is no log, or it may not be asked */
    bool has_list;
    int64_t last_id;
    struct watermark_writer *writers;
    size_t count;
    size_t capacity;
};

/* One look at the server, on a thread that may wait. What it finds is the watermark's: free(writers) by memory_free. False: see
 * the session. */
bool my_watermark_look(struct my_session *session, struct my_watermark *watermark) MUST_CHECK;

/* The last id that was given out; -1: there is no table, as between two renames of it. Likewise. */
bool my_last_id_ask(struct my_session *session, int64_t *ret_id) MUST_CHECK;

#endif
