#include "relay/mysql/privileges.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

/* An account gets its rights in more ways (roles, patterns, columns) than the server's tables show, so each statement
 * is tried. */
static const struct probe {
    const char *table;
    const char *privilege;
    const char *sql;
    bool for_sent;
} probes[] = {
    {"outbox", "select", "select id from outbox where false", false},
    {"outbox", "insert", "insert into outbox (payload) select '' from dual where false", false},
    {"outbox", "delete", "delete from outbox where false", false},
    {"outbox_held", "select", "select id from outbox_held where false", false},
    {"outbox_held", "insert",
     "insert into outbox_held (id, message_id, routing_key, payload, created_at, state) select 1, "
     "'', '', '', utc_timestamp(6), 'dead' from dual where false",
     false},
    {"outbox_held", "update", "update outbox_held set state = 'dead' where false", false},
    {"outbox_held", "delete", "delete from outbox_held where false", false},
    {"outbox_held_act", "select", "select id from outbox_held_act where false", false},
    {"outbox_held_act", "update", "update outbox_held_act set seen_at = null where false", false},
    {"outbox_relay", "insert",
     "insert into outbox_relay (source, host, pid, session, version, started_at, owned_since, "
     "in_flight, confirmed, rate) select '', '', 1, 1, '', utc_timestamp(6), utc_timestamp(6), 1, "
     "1, 1 from dual where false",
     false},
    {"outbox_relay", "delete", "delete from outbox_relay where false", false},
    {"outbox_relay", "select", "select pid from outbox_relay where false", false},
    {"outbox_sent_batch", "select", "select place from outbox_sent_batch where false", true},
    {"outbox_sent_batch", "insert",
     "insert into outbox_sent_batch (total_bytes, ids, message_ids) select 1, '', '' from dual "
     "where "
     "false",
     true},
    {"outbox_sent_batch", "delete", "delete from outbox_sent_batch where false", true},
};

static bool
is_refusal(unsigned number)
{
    return number == ER_TABLEACCESS_DENIED_ERROR || number == ER_COLUMNACCESS_DENIED_ERROR;
}

/* A missing value for a column that others have added is no error here: it is not about privileges. */
static bool
is_trouble(unsigned number)
{
    return number != 0 && !is_refusal(number) && number != ER_NO_DEFAULT_FOR_FIELD;
}

static unsigned
try_probe(MYSQL *mysql, const struct probe *probe)
{
    if (mysql_query(mysql, probe->sql) != 0) {
        return mysql_errno(mysql);
    }
    MYSQL_RES *const rows = mysql_store_result(mysql);
    const unsigned number = mysql_errno(mysql);
    mysql_free_result(rows);
    return number;
}

/* Adds "grant insert on outbox_relay", or only the privilege if the last grant is for the same table. */
static void
add(char *grants, size_t size, const struct probe *probe, const struct probe *last)
{
    const size_t used = strlen(grants);
    if (last != NULL && strcmp(last->table, probe->table) == 0) {
        char *const on = grants + used - strlen(" on ") - strlen(probe->table);
        (void)snprintf(on, size - (size_t)(on - grants), ", %s on %s", probe->privilege,
                       probe->table); /* cut is fine */
    } else {
        (void)snprintf(grants + used, size - used, "%sgrant %s on %s", used > 0 ? "; " : "",
                       probe->privilege, probe->table); /* cut is fine */
    }
}

bool
my_privileges_missing(MYSQL *mysql, bool for_sent, char *ret_grants, size_t size,
                      unsigned *ret_number)
{
    const struct probe *last = NULL;
    ret_grants[0] = '\0';
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        const struct probe *const probe = &probes[i];
        *ret_number = probe->for_sent == for_sent ? try_probe(mysql, probe) : 0;
        if (is_refusal(*ret_number) && strlen(ret_grants) + 100 < size) {
            add(ret_grants, size, probe, last);
            last = probe;
        } else if (is_trouble(*ret_number)) {
            return false;
        }
    }
    *ret_number = 0;
    return true;
}
