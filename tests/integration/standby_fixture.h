/* tests/integration/standby_fixture.h - a second database server beside the own one of servers_fixture.h, of the same kind, which
 * ends with it. One in a process. Whatever goes wrong fails the test. */
#ifndef TESTS_INTEGRATION_STANDBY_FIXTURE_H
#define TESTS_INTEGRATION_STANDBY_FIXTURE_H

/* A replica; commits of the first are answered when it has them. Before the database of db_fixture.h is created: from then on the
 * dsn names both servers, and leads to the one that takes writes. */
void standby_follow(void);

/* The first one is killed, and the replica takes its place. */
void standby_promote(void);
/* Waits until scene.relay has told what it has noticed of it, where it can. */
void standby_await_promoted(void);

/* A new server with a dump of the database of db_fixture.h in it takes the first one's place, at the same address. Who was
 * connected has to connect anew. */
void standby_restore(void);
void standby_await_restored(void);

/* Commits wait for a standby that does not answer: they are in the log and visible for nobody. */
void standby_hold_commits(void);
void standby_let_commits_go(void);

#endif
