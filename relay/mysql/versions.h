/* relay/mysql/versions.h - the versions of the tables in a database. Foreground; may block. */
#ifndef RELAY_MYSQL_VERSIONS_H
#define RELAY_MYSQL_VERSIONS_H

#include "relay/mysql/session.h"

#define MY_SCHEMA_VERSION 1       /* the outbox, which writers use too */
#define MY_RELAY_SCHEMA_VERSION 1 /* the tables that only the relay uses */

struct my_versions {
    bool there;   /* a table named outbox exists */
    bool foreign; /* it, or outbox_schema, was not created by init */
    int outbox;   /* 0: the tables are missing or incomplete */
    int relay;    /* 0: the same */
};

bool my_versions_look(struct my_session *session, struct my_versions *ret_versions) MUST_CHECK;

/* Inserts the versions that are missing. False: see the session. */
bool my_versions_put(struct my_session *session) MUST_CHECK;

#endif
