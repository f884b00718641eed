/* relay/mysql/names.h - the names of the locks (GET_LOCK) by which relays of an outbox own it and are seen, on which
 * the relay, `check` and the operator's commands must agree. */
#ifndef RELAY_MYSQL_NAMES_H
#define RELAY_MYSQL_NAMES_H

/* The longest name that GET_LOCK takes, with the zero byte. */
#define MY_LOCK_BYTES 65

/* With the zero byte. */
#define MY_MARK_BYTES 31

/* Each session of a relay, owner or not, holds the lock whose name is this mark followed by its connection_id(). So
 * others see the sessions of all relays, without a privilege and without anything that MariaDB has off by default. */
void my_mark_name(const char *database, char ret_name[MY_MARK_BYTES]);

/* The lock of the ownership: outbox_relay_DATABASE. If the name of the database is long, or has characters other than a
 * to z, 0 to 9 and _ (which names of locks may not tell apart), it is replaced by a part of it and a hash of all of
 * it. */
void my_lock_name(const char *database, char ret_name[MY_LOCK_BYTES]);

/* The lock of a relay that waits for the ownership and could do the work. */
void my_fit_name(const char *database, char ret_name[MY_MARK_BYTES]);

#endif
