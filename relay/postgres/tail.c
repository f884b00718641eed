#include "relay/postgres/tail.h"

#include <stdlib.h>
#include <string.h>

#include "relay/ports/report.h"
#include "relay/postgres/foreground.h"
#include "relay/postgres/schema.h"

#include "tail_facts_sql.h"

enum column {
    COLUMN_SERVICE,
    COLUMN_ROLE,
    COLUMN_OUTBOX,
    COLUMN_PUBLICATION,
    COLUMN_WAL_LEVEL,
    COLUMN_ENCODING,
    COLUMN_MAY_READ,
    COLUMN_PUBLICATION_THERE,
    COLUMN_HAS_OUTBOX,
    COLUMN_INSERTS,
    COLUMN_NARROWED,
    COLUMN_IN_PARTS,
    COLUMN_SLOT_THERE,
    COLUMN_SLOT_FOREIGN,
    COLUMN_SLOT_ACTIVE,
    COLUMN_SLOT_LOST,
    COLUMN_RETAINED,
    COLUMN_SLOTS_MAX,
    COLUMN_SLOTS_USED,
    COLUMN_SENDERS_MAX,
    COLUMN_SENDERS_USED,
    COLUMN_KEEP_SIZE,
    COLUMN_RELAY_ROLE,
    COLUMN_RELAY_MAY_READ,
    COLUMN_UNLIMITED,
};

static const char *
text_at(const PGresult *facts, enum column column)
{
    return PQgetvalue(facts, 0, (int)column);
}

static bool
is_true(const PGresult *facts, enum column column)
{
    return strcmp(text_at(facts, column), "t") == 0;
}

static unsigned
number_at(const PGresult *facts, enum column column)
{
    return (unsigned)strtoul(text_at(facts, column), NULL, 10);
}

static enum postgres_service
service_of(const PGresult *facts)
{
    static const char *const words[] = {
        [POSTGRES_SERVICE_RDS] = "rds",
        [POSTGRES_SERVICE_CLOUD_SQL] = "cloudsql",
        [POSTGRES_SERVICE_AZURE] = "azure",
    };
    enum postgres_service service = POSTGRES_SERVICE_AZURE;
    while (service != POSTGRES_SERVICE_NONE &&
           strcmp(words[service], text_at(facts, COLUMN_SERVICE)) != 0) {
        service--;
    }
    return service;
}

static void
take_facts(struct postgres_tail *tail, PGresult *facts)
{
    tail->owner = facts;
    tail->service = service_of(facts);
    tail->role = text_at(facts, COLUMN_ROLE);
    tail->outbox = text_at(facts, COLUMN_OUTBOX);
    tail->publication = text_at(facts, COLUMN_PUBLICATION);
    tail->wal_level = text_at(facts, COLUMN_WAL_LEVEL);
    tail->encoding = text_at(facts, COLUMN_ENCODING);
    tail->may_read = is_true(facts, COLUMN_MAY_READ);
    tail->publication_there = is_true(facts, COLUMN_PUBLICATION_THERE);
    tail->has_outbox = is_true(facts, COLUMN_HAS_OUTBOX);
    tail->inserts = is_true(facts, COLUMN_INSERTS);
    tail->narrowed = is_true(facts, COLUMN_NARROWED);
    tail->in_parts = is_true(facts, COLUMN_IN_PARTS);
    tail->slot_there = is_true(facts, COLUMN_SLOT_THERE);
    tail->slot_foreign = is_true(facts, COLUMN_SLOT_FOREIGN);
    tail->slot_active = is_true(facts, COLUMN_SLOT_ACTIVE);
    tail->slot_lost = is_true(facts, COLUMN_SLOT_LOST);
    tail->retained = strtoull(text_at(facts, COLUMN_RETAINED), NULL, 10);
    tail->slots_max = number_at(facts, COLUMN_SLOTS_MAX);
    tail->slots_used = number_at(facts, COLUMN_SLOTS_USED);
    tail->senders_max = number_at(facts, COLUMN_SENDERS_MAX);
    tail->senders_used = number_at(facts, COLUMN_SENDERS_USED);
    tail->keep_size = text_at(facts, COLUMN_KEEP_SIZE);
    tail->relay_role = text_at(facts, COLUMN_RELAY_ROLE);
    tail->relay_may_read = is_true(facts, COLUMN_RELAY_MAY_READ);
    tail->unlimited = text_at(facts, COLUMN_UNLIMITED);
}

bool
postgres_tail_look(PGconn *connection, const struct source_config *source,
                   struct postgres_tail *ret_tail, struct error *reterr)
{
    struct postgres_tail tail = {0};
    char publication[POSTGRES_NAME_BYTES];
    if (!postgres_tail_names(connection, source, tail.slot, publication, reterr)) {
        return false;
    }
    /* The reason is in source_tail_look.c. */
    const char *const limits = source->tableless ? NULL : postgres_schema_limits;
    const char *const values[] = {tail.slot, publication, limits};
    PGresult *const facts = postgres_query_with(connection, sql_tail_facts, 3, values, reterr);
    if (facts == NULL) {
        return false;
    }
    take_facts(&tail, facts);
    *ret_tail = tail;
    return true;
}

void
postgres_tail_free(struct postgres_tail *tail)
{
    PQclear(tail->owner);
    *tail = (struct postgres_tail){0};
}

static void
tell_level(struct lacks *lacks, const struct postgres_tail *tail)
{
    static const char *const remedies[] = {
        [POSTGRES_SERVICE_NONE] =
            "set wal_level = logical in postgresql.conf and restart the server",
        [POSTGRES_SERVICE_RDS] =
            "set rds.logical_replication = 1 in the parameter group and reboot",
        [POSTGRES_SERVICE_CLOUD_SQL] = "set the flag cloudsql.logical_decoding = on",
        [POSTGRES_SERVICE_AZURE] =
            ("set wal_level = logical in the server's parameters (single server: "
             "azure.replication_support = logical) and restart"),
    };
    if (strcmp(tail->wal_level, "logical") != 0) {
        report_lack(lacks, "the server's wal_level is %s, so its log has no rows to be read: %s",
                    tail->wal_level, remedies[tail->service]);
    }
}

static void
tell_role(struct lacks *lacks, const struct postgres_tail *tail)
{
    if (tail->may_read) {
        return;
    }
    if (tail->service == POSTGRES_SERVICE_RDS) {
        report_lack(lacks, "the role may not read the log: grant rds_replication to %s",
                    tail->role);
    } else if (tail->service == POSTGRES_SERVICE_CLOUD_SQL) {
        report_lack(lacks, "the role may not read the log: alter user %s with replication",
                    tail->role);
    } else {
        report_lack(lacks, "the role may not read the log: alter role %s replication", tail->role);
    }
}

static void
tell_publication(struct lacks *lacks, const struct postgres_tail *tail)
{
    if (!tail->publication_there) {
        report_lack(
            lacks,
            "there is no publication %s: run `outbox-relay init` as the owner of the table, or "
            "create publication %s for table %s with (publish = 'insert')",
            tail->publication, tail->publication, tail->outbox);
    } else if (!tail->has_outbox) {
        report_lack(lacks, "publication %s is not of the outbox: alter publication %s add table %s",
                    tail->publication, tail->publication, tail->outbox);
    } else if (tail->in_parts) {
        report_lack(lacks,
                    "publication %s passes on what is inserted as rows of the partitions: alter "
                    "publication %s set (publish_via_partition_root = true)",
                    tail->publication, tail->publication);
    } else if (tail->narrowed) {
        report_lack(lacks,
                    "publication %s leaves out rows or columns: alter publication %s set table %s",
                    tail->publication, tail->publication, tail->outbox);
    }
    if (tail->publication_there && !tail->inserts) {
        report_lack(lacks,
                    "publication %s does not publish inserts: alter publication %s set (publish = "
                    "'insert')",
                    tail->publication, tail->publication);
    }
}

static void
tell_slot(struct lacks *lacks, const struct postgres_tail *tail)
{
    if (tail->slot_foreign) {
        report_lack(
            lacks,
            "the slot \"%s\" is another database's or made for something else: name another by "
            "`slot`",
            tail->slot);
    }
    if (!tail->slot_there && tail->slots_used >= tail->slots_max) {
        report_lack(
            lacks,
            "all %u replication slots of the server are taken: raise max_replication_slots and "
            "restart the server, or drop one",
            tail->slots_max);
    }
    if (!tail->slot_active && tail->senders_used >= tail->senders_max) {
        report_lack(
            lacks,
            "all %u processes of the server that send its log are taken: raise max_wal_senders "
            "and restart the server",
            tail->senders_max);
    }
}

size_t
postgres_tail_lacks(const struct postgres_tail *tail,
                    void (*tell)(void *context, const char *words), void *context)
{
    struct lacks lacks = {.tell = tell, .context = context};
    tell_level(&lacks, tail);
    tell_role(&lacks, tail);
    /* The relay identifies keys by a hash of their bytes, which the log gives in UTF-8. */
    if (strcmp(tail->encoding, "UTF8") != 0) {
        report_lack(
            &lacks,
            "the database's encoding is %s, and the log can be used only with UTF8: set mode = "
            "\"poll\"",
            tail->encoding);
    }
    if (tail->unlimited != NULL && tail->unlimited[0] != '\0') {
        report_lack(
            &lacks,
            "table %s has no limit on %s, so what its log brings may be larger than a relay can "
            "hold: run `outbox-relay init` as its owner, which puts that back",
            tail->outbox, tail->unlimited);
    }
    tell_publication(&lacks, tail);
    tell_slot(&lacks, tail);
    return lacks.count;
}
