#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/held_fixture.h"

static struct db *db;

static void
set_up(void)
{
    db = held_fixture_create();
}

static void
tear_down(void)
{
    held_fixture_drop(db);
}

TestSuite(cli_status, .init = set_up, .fini = tear_down);

/* A session that looks like a relay's: it has the name, and the ownership if that is free. */
static struct db *
relay(void)
{
    struct db *const session = db_connect();
    db_be_relay(session);
    return session;
}

/* What the owner reports on itself. */
static void
tell(const char *changes)
{
    char sql[1000];
    (void)snprintf(sql, sizeof(sql),
                   "delete from outbox_relay; "
                   "insert into outbox_relay (source, host, pid, version, started_at, owned_since, "
                   "in_flight, confirmed, rate%s) values ('orders', 'host-a', 4711, '0.1.0', "
                   "from_now(0), from_now(-10800), 0, 100, 0%s)",
                   db_relay_columns(), db_relay_values()); /* fits */
    db_exec(db, sql);
    if (changes != NULL) {
        (void)snprintf(sql, sizeof(sql), "update outbox_relay set %s", changes); /* fits */
        db_exec(db, sql);
    }
}

static void
expect(const char *expected)
{
    cr_assert_eq(cli("status -c relay.conf"), 0, "%s", cli_stderr());
    cr_assert_str_empty(cli_stderr());
    cr_assert_str_eq(held_timeless(cli_stdout()), expected, "%s\nexpected:\n%s",
                     held_timeless(cli_stdout()), expected);
}

static json_int_t
number(const json_t *object, const char *name)
{
    cr_assert(json_is_integer(json_object_get(object, name)), "%s", name);
    return json_integer_value(json_object_get(object, name));
}

Test(cli_status, nobody_works_it)
{
    expect("source \"orders\"\n"
           "  relay      none owns the outbox: nothing is sent\n"
           "  pending    0\n"
           "  held       none\n");
    tell("updated_at = from_now(-300)");
    db_exec(db, "insert into outbox (payload, created_at) values ('', from_now(-240)), "
                "('', from_now(-120)), ('', from_now(-2592000)), ('', from_now(-2592000))");
    db_exec(db, "update outbox set deliver_after = from_now(3600) where id = 3");
    db_exec(db, "update outbox set deliver_after = from_now(-60) where id = 4");
    expect("source \"orders\"\n"
           "  relay      none owns the outbox: nothing is sent\n"
           "             the last was process 4711 on host-a, version 0.1.0, last seen 5 min ago\n"
           "  pending    4, the oldest for 4 min\n"
           "  held       none\n");
    db_exec(db, "delete from outbox where id <> 3");
    cr_assert_eq(cli("status -c relay.conf"), 0);
    cr_assert_not_null(strstr(cli_stdout(), "  pending    1\n"), "it is not due: %s", cli_stdout());
}

/* MySQL shows no session at all in information_schema.processlist while one of them runs such a statement. */
Test(cli_status, beside_a_statement_with_a_character_of_four_bytes)
{
    struct db *const owner = relay();
    struct db *const holder = db_connect();
    struct db *const other = db_connect();
    tell("in_flight = 0");
    held_put(db, 1, "a", "retrying", NULL);
    db_exec(holder, "begin");
    db_exec(holder, "update outbox_held set attempts = 1 where id = 1");
    db_send(other, "update outbox_held set last_error = '\U0001F418\U0001F418' where id = 1");
    db_wait_blocked(db, db_session(other));
    cr_assert_eq(cli("status -c relay.conf"), 0, "%s%s", cli_stdout(), cli_stderr());
    cr_assert_not_null(strstr(cli_stdout(), " from 127.0.0.1"), "%s", cli_stdout());
    db_exec(holder, "rollback");
    db_await_end(other);
    db_close(other);
    db_close(holder);
    db_close(owner);
}

Test(cli_status, an_owner_and_two_standbys)
{
    char expected[1000];
    struct db *const owner = relay();
    struct db *const first = relay();
    struct db *const second = relay();
    tell("rate = 1250.4, in_flight = 256, in_flight_since = from_now(-240)");
    held_put(db, 1, "a", "retrying", NULL);
    held_put(db, 2, "a", "waiting", NULL);
    held_put(db, 3, "a", "waiting", NULL);
    (void)snprintf(expected, sizeof(expected),
                   "source \"orders\"\n"
                   "  relay      process 4711 on host-a, version 0.1.0\n"
                   "             database session %d from 127.0.0.1 since TIME (3 h)\n"
                   "  standby    database session %d from 127.0.0.1\n"
                   "  standby    database session %d from 127.0.0.1\n"
                   "  pending    0\n"
                   "  in flight  256, the oldest for 4 min\n"
                   "  rate       1250 a second\n"
                   "  held       1 retrying, 2 waiting\n",
                   (int)db_session(owner), (int)db_session(first),
                   (int)db_session(second)); /* fits */
    expect(expected);
    db_close(owner);
    db_close(first);
    db_close(second);
}

Test(cli_status, why_it_is_paused)
{
    char expected[1000];
    struct db *const owner = relay();
    tell("rate = 0.25, paused_reason = 'broker unreachable: \033refused', "
         "paused_since = from_now(-180)");
    (void)snprintf(expected, sizeof(expected),
                   "source \"orders\"\n"
                   "  relay      process 4711 on host-a, version 0.1.0\n"
                   "             database session %d from 127.0.0.1 since TIME (3 h)\n"
                   "  pending    0\n"
                   "  in flight  0\n"
                   "  rate       0.2 a second\n"
                   "  paused     since TIME (3 min): broker unreachable: \\x1brefused\n"
                   "  held       none\n",
                   (int)db_session(owner)); /* fits */
    expect(expected);
    db_close(owner);
}

static void
expect_reads(const char *expected)
{
    char found[500] = "";
    cr_assert_eq(cli("status -c relay.conf"), 0, "%s", cli_stderr());
    const char *const from = strstr(cli_stdout(), "  reads ");
    const char *const to = strstr(cli_stdout(), "  held ");
    if (from != NULL && to != NULL) {
        (void)snprintf(found, sizeof(found), "%.*s", (int)(to - from), from); /* fits */
    }
    cr_assert_str_eq(found, expected, "%s", cli_stdout());
}

Test(cli_status, how_it_reads)
{
    struct db *const owner = relay();
    tell(NULL);
    expect_reads("");
    tell("\"reads\" = 'tail'");
    expect_reads("  reads      the log (tailing)\n");
    tell("\"reads\" = 'tail', swept = 3");
    expect_reads("  reads      the log (tailing)\n"
                 "  swept      3, which the log did not deliver\n");
    tell("\"reads\" = 'poll'");
    expect_reads("  reads      the table (polling)\n");
    tell("\"reads\" = 'poll', reads_reason = 'wal_level is replica\033'");
    expect_reads("  reads      the table (polling): wal_level is replica\\x1b\n");
    db_close(owner);
}

/* With AGE in the place of the first "(N s)", because the time that this machine took does not matter. */
static const char *
ageless(const char *text)
{
    static char rest[2000];
    unsigned seconds;
    int length = 0;
    const char *const age = strchr(text, '(');
    if (age == NULL) {
        return text;
    }
    cr_assert_eq(sscanf(age, "(%u s)%n", &seconds, &length), 1, "%s", text);
    cr_assert(length > 0 && seconds < 60, "%s", text);
    (void)snprintf(rest, sizeof(rest), "%.*s(AGE)%s", (int)(age - text), text,
                   age + length); /* fits */
    return rest;
}

/* A report of an earlier owner is not shown for this one. */
Test(cli_status, an_owner_that_has_said_nothing_yet)
{
    char expected[1000];
    tell("in_flight = 7, paused_reason = 'x', updated_at = from_now(-1)");
    struct db *const owner = relay();
    (void)snprintf(expected, sizeof(expected),
                   "source \"orders\"\n"
                   "  relay      database session %d from 127.0.0.1%s\n"
                   "             it has not reported its state yet\n"
                   "  pending    0\n"
                   "  held       none\n",
                   (int)db_session(owner), db_words_since()); /* fits */
    cr_assert_eq(cli("status -c relay.conf"), 0, "%s", cli_stderr());
    cr_assert_str_eq(ageless(held_timeless(cli_stdout())), expected, "%s", cli_stdout());
    db_close(owner);
}

/* Without the limits, because their checks would take most of the time. */
Test(cli_status, more_than_a_million)
{
    db_lift_limits(db);
    db_exec(db, "insert into outbox (payload) select '' from " DB_SERIES("1", "1000000"));
    cr_assert_eq(cli("status -c relay.conf"), 0);
    cr_assert_not_null(strstr(cli_stdout(), "  pending    1000000, the oldest for "), "%s",
                       cli_stdout());
    db_exec(db, "insert into outbox (payload) select '' from " DB_SERIES("1", "10"));
    cr_assert_eq(cli("status -c relay.conf"), 0);
    cr_assert_not_null(strstr(cli_stdout(), "  pending    more than 1000000, the oldest for "),
                       "%s", cli_stdout());
}

Test(cli_status, more_than_a_million_held)
{
    db_exec(db,
            "insert into outbox_held (id, message_id, routing_key, \"key\", payload, created_at, "
            "state) select i, new_id(), '', 'a', '', from_now(0), "
            "case when i <= 3 then 'dead' else 'waiting' end from " DB_SERIES("1", "1000004"));
    cr_assert_eq(cli("status -c relay.conf"), 0);
    cr_assert_not_null(strstr(cli_stdout(), "  held       more than 1000000 waiting, 3 dead\n"),
                       "%s", cli_stdout());
}

Test(cli_status, for_programs)
{
    struct db *const owner = relay();
    struct db *const standby = relay();
    tell("in_flight = 5, rate = 2.5, paused_reason = 'blocked', paused_since = from_now(0), "
         "\"reads\" = 'poll', reads_reason = 'no slot', swept = 2");
    held_put(db, 1, "a", "dead", NULL);
    db_exec(db, "insert into outbox (payload) values ('')");
    json_t *const array = held_json("status --json", 0);
    const json_t *const status = json_array_get(array, 0);
    const json_t *const told = json_object_get(status, "relay");
    cr_assert_eq(json_array_size(array), 1);
    cr_assert_str_eq(json_string_value(json_object_get(status, "source")), "orders");
    cr_assert_eq(number(json_object_get(status, "owner"), "session"), db_session(owner));
    const json_t *const standbys = json_object_get(status, "standbys");
    cr_assert_eq(json_array_size(standbys), 1);
    cr_assert_eq(number(json_array_get(standbys, 0), "session"), db_session(standby));
    cr_assert_eq(number(status, "pending"), 1);
    cr_assert(json_is_true(json_object_get(status, "pending_exact")));
    cr_assert_eq(number(json_object_get(status, "held"), "dead"), 1);
    cr_assert_eq(number(told, "in_flight"), 5);
    cr_assert_float_eq(json_real_value(json_object_get(told, "rate")), 2.5, 0.01);
    cr_assert_str_eq(json_string_value(json_object_get(told, "paused_reason")), "blocked");
    cr_assert_str_eq(json_string_value(json_object_get(told, "reads")), "poll");
    cr_assert_str_eq(json_string_value(json_object_get(told, "reads_reason")), "no slot");
    cr_assert_eq(number(told, "swept"), 2);
    cr_assert(json_is_null(json_object_get(status, "slot")));
    json_decref(array);
    db_close(owner);
    db_close(standby);
}

/* A role that may read the tables, but sees no more of other sessions than that they exist. */
static void
be_a_reader(char role[64])
{
    char sql[400];
    (void)snprintf(role, 64, "status_%ld", (long)getpid()); /* fits */
    db_create_user(db, role, "pw");
    (void)snprintf(
        sql, sizeof(sql),
        "grant select on outbox to %s; grant select on outbox_held to %s; "
        "grant select on outbox_held_act to %s; grant select on outbox_sent_batch to %s; "
        "grant select on outbox_relay to %s; grant select on outbox_relay_schema to %s",
        role, role, role, role, role, role); /* fits */
    db_exec(db, sql);
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = %s dsn = \"%s user=%s password=pw\" broker = main }\n",
              db_kind(), db_dsn(), role);
}

/* A reader cannot see how old the owner's session is, so the report may be from before it. */
Test(cli_status, says_how_old_the_news_is)
{
    char expected[1000];
    char role[64];
    be_a_reader(role);
    struct db *const owner = relay();
    tell("updated_at = from_now(-240)");
    (void)snprintf(expected, sizeof(expected),
                   "source \"orders\"\n"
                   "  relay      process 4711 on host-a, version 0.1.0\n"
                   "             database session %d since TIME (3 h)\n"
                   "  pending    0\n"
                   "  in flight  0\n"
                   "  rate       0.0 a second\n"
                   "  as of      4 min ago: the relay has not reported its state since\n"
                   "  held       none\n",
                   (int)db_session(owner)); /* fits */
    expect(expected);
    json_t *array = held_json("status --json", 0);
    cr_assert(json_is_false(
        json_object_get(json_object_get(json_array_get(array, 0), "relay"), "current")));
    json_decref(array);
    tell("updated_at = from_now(-1)");
    array = held_json("status --json", 0);
    cr_assert(json_is_true(
        json_object_get(json_object_get(json_array_get(array, 0), "relay"), "current")));
    json_decref(array);
    cr_assert_eq(cli("status -c relay.conf"), 0);
    cr_assert_null(strstr(cli_stdout(), "as of"), "%s", cli_stdout());
    db_close(owner);
    db_drop_user(db, role);
}

Test(cli_status, a_role_that_may_not_even_read)
{
    char role[64];
    char sql[200];
    be_a_reader(role);
    (void)snprintf(sql, sizeof(sql), "revoke all on outbox_held from %s", role); /* fits */
    db_exec(db, sql);
    cr_assert_eq(cli("status -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stderr(), db_words_denied()), "%s", cli_stderr());
    db_drop_user(db, role);
}

Test(cli_status, a_server_that_is_not_there)
{
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source gone { kind = %s broker = main\n"
              "  dsn = \"host=127.0.0.1 port=1 dbname=shop user=shop password=hunter2\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n",
              db_kind(), db_kind(), db_dsn());
    cr_assert_eq(cli("status -c relay.conf"), 1);
    cr_assert_eq(strncmp(cli_stdout(), "source \"orders\"\n", 16), 0, "%s", cli_stdout());
    cr_assert_eq(strncmp(cli_stderr(), "source \"gone\": ", 15), 0, "%s", cli_stderr());
    cr_assert_not_null(strstr(cli_stderr(), "connect"), "%s", cli_stderr());
    cr_assert_null(strstr(cli_stderr(), "hunter2"), "%s", cli_stderr());
}
