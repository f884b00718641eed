/* The options for connecting with libpq. Connections themselves are tested with a server
 * (tests/integration/test_source.c). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "relay/postgres/source_private.h"

static const char *
value_of(const PQconninfoOption *options, const char *name)
{
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, name) == 0) {
            return option->val != NULL ? option->val : "";
        }
    }
    return "";
}

/* Port 1 of this machine, where nothing listens; only the options are checked. */
static PQconninfoOption *
options_for(const char *dsn, bool replication)
{
    char name[] = "shop";
    char text[200];
    (void)snprintf(text, sizeof(text), "%s", dsn); /* fits */
    const struct source_config config = {.name = name, .dsn = text, .takeover_us = 15 * CLOCK_S_US};
    const struct pg_target target = {.name = "localhost", .address = "127.0.0.1", .port = "1"};
    struct error error;
    PGconn *const connection = pg_connect_begin(&config, &target, replication, NULL, &error);
    cr_assert_not_null(connection, "%s", error.text);
    PQconninfoOption *const options = PQconninfo(connection);
    cr_assert_not_null(options);
    PQfinish(connection);
    return options;
}

/* poll(2) would not report bytes that libpq has decrypted and keeps. */
Test(postgres_source_connect, no_encryption_by_gssapi)
{
    static const char *const dsns[] = {"dbname=d", "dbname=d gssencmode=prefer"};
    cr_assert_eq(setenv("PGGSSENCMODE", "require", 1), 0);
    for (int i = 0; i < 4; i++) {
        PQconninfoOption *const options = options_for(dsns[i / 2], i % 2 == 1);
        cr_assert_str_eq(value_of(options, "gssencmode"), "disable");
        PQconninfoFree(options);
    }
}

/* A server that takes no writes is useless, but the log is read from the one that was found. */
Test(postgres_source_connect, what_is_a_default_and_what_is_not)
{
    PQconninfoOption *options =
        options_for("dbname=d tcp_user_timeout=7 client_encoding=LATIN1", false);
    cr_assert_str_eq(value_of(options, "tcp_user_timeout"), "7");
    cr_assert_str_eq(value_of(options, "client_encoding"), "UTF8");
    cr_assert_str_eq(value_of(options, "application_name"), "outbox-relay shop");
    cr_assert_str_eq(value_of(options, "target_session_attrs"), "read-write");
    PQconninfoFree(options);
    options = options_for("dbname=d", true);
    cr_assert_str_eq(value_of(options, "tcp_user_timeout"), "15000");
    cr_assert_str_neq(value_of(options, "target_session_attrs"), "read-write");
    PQconninfoFree(options);
}
