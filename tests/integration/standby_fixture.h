/* tests/integration/standby_fixture.h - a second PostgreSQL beside the own one of servers_fixture.h, which ends with it. One in
 * a process. Whatever goes wrong fails the test. */
#ifndef TESTS_INTEGRATION_STANDBY_FIXTURE_H
#define TESTS_INTEGRATION_STANDBY_FIXTURE_H

/* A streaming replica; commits of the first are answered when it has them. Before the database of pg_fixture.h is created:
 * from then on OUTBOX_TEST_PG_DSN names both servers, and leads to the one that takes writes. */
void standby_follow(void);

/* The first one is killed, and the replica takes its place. */
void standby_promote(void);

/* A new cluster with a dump of the database of pg_fixture.h in it takes the first one's place, at the same address. Slots are
 * not in a dump. Who was connected has to connect anew. */
void standby_restore(void);

#endif
