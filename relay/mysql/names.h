/* relay/mysql/names.h - by which name the ownership of an outbox is known to a server: the relay and `check` must agree on it. */
#ifndef RELAY_MYSQL_NAMES_H
#define RELAY_MYSQL_NAMES_H

/* What GET_LOCK takes, with its zero byte. */
#define MY_LOCK_BYTES 65

/* With its zero byte. */
#define MY_MARK_BYTES 31

/* The sessions of all relays of an outbox, owner or not, are known by locks, too: each holds the one of which the name is this and
 * its connection_id(). That takes no privilege to find out, and nothing that MariaDB has switched off by default. */
void my_mark_name(const char *database, char ret_name[MY_MARK_BYTES]);

/* outbox_relay_DATABASE. A database whose name is long, or has other characters than a to z, 0 to 9 and _, which names of locks
 * may not tell apart, is named by a part of its name and a hash of it all. */
void my_lock_name(const char *database, char ret_name[MY_LOCK_BYTES]);

#endif
