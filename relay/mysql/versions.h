/* relay/mysql/versions.h - which tables a database has: their versions. Foreground; may block. */
#ifndef RELAY_MYSQL_VERSIONS_H
#define RELAY_MYSQL_VERSIONS_H

#include "relay/mysql/session.h"

#define MY_SCHEMA_VERSION 1       /* the outbox, which writers use too */
#define MY_RELAY_SCHEMA_VERSION 1 /* the tables that only the relay uses */

struct my_versions {
    bool there;   /* a table outbox */
    bool foreign; /* it, or outbox_schema, is not one that init has made */
    int outbox;   /* 0: there is none, or not all of it */
    int relay;    /* likewise */
};

bool my_versions_look(struct my_session *session, struct my_versions *ret_versions) MUST_CHECK;

/* Puts those in that are not there. */
bool my_versions_put(struct my_session *session) MUST_CHECK;

#endif
