#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "relay/postgres/tail.h"

static char told[4000];

static void
tell(void *context, const char *words)
{
    const size_t length = strlen(told);
    (void)context;                                                       /* none */
    (void)snprintf(told + length, sizeof(told) - length, "%s\n", words); /* compared as a whole */
}

/* A server that can be used. */
static struct postgres_tail
fit(void)
{
    return (struct postgres_tail){
        .slot = "outbox_relay_shop_public",
        .role = "relay",
        .outbox = "outbox",
        .publication = "outbox_relay_public",
        .wal_level = "logical",
        .encoding = "UTF8",
        .may_read = true,
        .publication_there = true,
        .has_outbox = true,
        .inserts = true,
        .slots_max = 10,
        .senders_max = 10,
        .keep_size = "-1",
    };
}

static void
expect(const struct postgres_tail *tail, size_t count, const char *expected)
{
    told[0] = '\0';
    cr_assert_eq(postgres_tail_lacks(tail, tell, NULL), count, "%s", told);
    cr_assert_str_eq(told, expected, "%s", told);
}

Test(postgres_tail, a_server_that_is_fit_lacks_nothing)
{
    const struct postgres_tail tail = fit();
    expect(&tail, 0, "");
}

static void
expect_service(enum postgres_service service, const char *expected)
{
    struct postgres_tail tail = fit();
    tail.service = service;
    tail.wal_level = "replica";
    tail.may_read = false;
    expect(&tail, 2, expected);
}

#define LEVEL "the server's wal_level is replica, so its log has no rows to be read: "
#define ROLE "the role may not read the log: "

Test(postgres_tail, each_service_has_its_own_ways)
{
    expect_service(POSTGRES_SERVICE_NONE,
                   LEVEL "set wal_level = logical in postgresql.conf and restart the server\n" ROLE
                         "alter role relay replication\n");
    expect_service(POSTGRES_SERVICE_RDS,
                   LEVEL "set rds.logical_replication = 1 in the parameter group and reboot\n" ROLE
                         "grant rds_replication to relay\n");
    expect_service(POSTGRES_SERVICE_CLOUD_SQL,
                   LEVEL "set the flag cloudsql.logical_decoding = on\n" ROLE
                         "alter user relay with replication\n");
    expect_service(POSTGRES_SERVICE_AZURE,
                   LEVEL "set wal_level = logical in the server's parameters (single server: "
                         "azure.replication_support = logical) and restart\n" ROLE
                         "alter role relay replication\n");
}

Test(postgres_tail, publications)
{
    struct postgres_tail tail = fit();
    tail.narrowed = true;
    expect(&tail, 1,
           "publication outbox_relay_public leaves out rows or columns: alter publication "
           "outbox_relay_public set table outbox\n");
    tail = fit();
    tail.has_outbox = tail.inserts = false;
    expect(&tail, 2,
           "publication outbox_relay_public is not of the outbox: alter publication "
           "outbox_relay_public add table outbox\n"
           "publication outbox_relay_public does not publish inserts: alter publication "
           "outbox_relay_public set (publish = 'insert')\n");
    tail.publication_there = false;
    expect(&tail, 1,
           "there is no publication outbox_relay_public: run `outbox-relay init` as the owner of "
           "the table, or create publication outbox_relay_public for table outbox with (publish = "
           "'insert')\n");
}

Test(postgres_tail, slots_and_senders)
{
    struct postgres_tail tail = fit();
    tail.slots_used = tail.senders_used = 10;
    expect(&tail, 2,
           "all 10 replication slots of the server are taken: raise max_replication_slots and "
           "restart the server, or drop one\n"
           "all 10 processes of the server that send its log are taken: raise max_wal_senders and "
           "restart the server\n");
    tail.slot_there = tail.slot_active = true; /* one of each is ours */
    expect(&tail, 0, "");
    tail.slot_foreign = true;
    expect(
        &tail, 1,
        "the slot \"outbox_relay_shop_public\" is another database's or made for something else: "
        "name another by `slot`\n");
}

Test(postgres_tail, encodings)
{
    struct postgres_tail tail = fit();
    tail.encoding = "LATIN1";
    expect(&tail, 1,
           "the database's encoding is LATIN1, and the log can be used only with UTF8: set mode = "
           "\"poll\"\n");
}
