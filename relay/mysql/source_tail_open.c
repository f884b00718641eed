/* Jobs on the second session's thread, before it becomes a replica: whether it is connected to the right server, and
 * whether the log can be read. */
#include "relay/mysql/replica.h"
#include "relay/mysql/source_private.h"
#include "relay/mysql/tail.h"

#include "mysql_tail_same_server_sql.h"

static bool
check_server(struct my_session *session, const struct my_tail_open *open)
{
    int64_t same = 0;
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "token", open->token);
    if (!my_session_int(session, sql_tail_same_server, &parameters, 0, &same)) {
        return false;
    }
    return same != 0 || my_session_fail(session, ERROR_CONNECTION,
                                        "the second connection led to another server than the "
                                        "first");
}

struct first_lack {
    struct my_session *session;
    bool told;
};

static void
take_first(void *context, const char *words)
{
    struct first_lack *const first = context;
    if (!first->told) {
        (void)my_session_fail(first->session, ERROR_CONFIG, "%s", words); /* always false */
        first->told = true;
    }
}

static bool
check_log(struct my_session *session, struct my_tail_open *open)
{
    const char *const schema = open->columns.schema;
    struct first_lack first = {.session = session};
    struct my_tail_facts facts;
    if (!my_tail_look(session, schema, &facts)) {
        return false;
    }
    open->end = facts.end;
    open->checksums = facts.has_checksums;
    return my_tail_lacks(&facts, schema, take_first, &first) == 0;
}

/* The columns are equal before and after the end of the log was asked for, so they are so at that position. */
static bool
check_columns(struct my_session *session, const struct my_tail_columns *columns)
{
    struct my_tail_columns again;
    const bool asked = my_tail_columns_ask(session, &again);
    const bool same = asked && my_tail_columns_equal(columns, &again);
    my_tail_columns_done(&again);
    if (!asked || same) {
        return asked;
    }
    return my_session_fail(session, ERROR_TRANSIENT, "table outbox is being altered");
}

bool
my_tail_open_run(struct my_session *session, struct my_job *job)
{
    struct my_tail_open *open = (struct my_tail_open *)job;
    return my_replica_prepare(session) && check_server(session, open) &&
           my_tail_columns_ask(session, &open->columns) && check_log(session, open) &&
           check_columns(session, &open->columns);
}
