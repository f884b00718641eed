/* tests/integration/standby_fixture.h - a second database server of the same kind beside that of servers_fixture.h,
 * which ends with it. One in a process. Any failure fails the test. */
#ifndef TESTS_INTEGRATION_STANDBY_FIXTURE_H
#define TESTS_INTEGRATION_STANDBY_FIXTURE_H

#include <stdbool.h>

/* Starts a replica; commits of the first server are answered when the replica has them. To be called before db_create:
 * then the dsn names both servers, and leads to the one that takes writes. */
void standby_follow(bool with_place);

/* Kills the first server and promotes the replica. */
void standby_promote(void);
/* What a relay is told about it then, in this order, before a NULL. */
const char *const *standby_promoted_words(void);
/* Waits until scene.relay has logged that. */
void standby_await_promoted(void);
/* Whether the replica has the place up to which the relay has read the log, so that it need not begin anew: with_place, and a kind
 * and version of server that can. */
bool standby_knows_place(void);
/* Waits until the replica has the place that the first server has now, if it knows it at all. */
void standby_await_place(void);

/* A new server with a dump of the database takes the first one's place, at the same address. All clients must connect
 * again. */
void standby_restore(void);
void standby_await_restored(void);

/* Makes commits wait for a standby that does not answer: they are in the log but not visible. */
void standby_hold_commits(void);
void standby_let_commits_go(void);

#endif
