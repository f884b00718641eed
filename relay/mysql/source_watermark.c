#include <mysqld_error.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/error.h"
#include "relay/mysql/log_end.h"
#include "relay/mysql/source_private.h"

#include "mysql_auto_increment_sql.h"
#include "mysql_prepared_sql.h"
#include "mysql_writers_schema_sql.h"
#include "mysql_writers_sql.h"

static const struct my_parameters none = {.count = 0};

/* ---- on the link's thread ------------------------------------------------------------------------------- */

bool
my_last_id_ask(struct my_session *session, int64_t *ret_id)
{
    int64_t next_id = 0;
    const bool good = my_session_int(session, sql_auto_increment, &none, 0, &next_id);
    *ret_id = next_id - 1;
    return good;
}

static void
add_writer(struct my_watermark *watermark, uint64_t session, bool orphan)
{
    if (watermark->count == watermark->capacity) {
        const size_t capacity = watermark->capacity > 0 ? 2 * watermark->capacity : 64;
        struct watermark_writer *const writers = memory_array(capacity, sizeof(*writers));
        if (watermark->count > 0) {
            memcpy(writers, watermark->writers, watermark->count * sizeof(*writers));
        }
        memory_free(watermark->writers);
        watermark->writers = writers;
        watermark->capacity = capacity;
    }
    watermark->writers[watermark->count++] =
        (struct watermark_writer){.session = session, .orphan = orphan};
}

/* Takes the writers. The list is trusted if it contains our own lock. */
static void
take_writers(struct my_watermark *watermark, MYSQL_RES *rows)
{
    MYSQL_ROW row;
    watermark->has_list = false;
    watermark->count = 0;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        const bool own = my_value_bool(row[2]);
        watermark->has_list |= own;
        if (my_value_bool(row[1]) && !own) {
            add_writer(watermark, (uint64_t)my_value_int(row[0]), false);
        }
    }
}

/* True if the list does not exist, or the account may not read it. */
static bool
is_no_list(unsigned code)
{
    return code == ER_UNKNOWN_TABLE || code == ER_NO_SUCH_TABLE ||
           code == ER_TABLEACCESS_DENIED_ERROR || code == ER_DBACCESS_DENIED_ERROR ||
           code == ER_BAD_FIELD_ERROR;
}

static bool
ask_list(struct my_session *session, const char *sql, struct my_watermark *watermark)
{
    MYSQL_RES *rows;
    watermark->has_list = false;
    if (!my_session_ask(session, sql, &none, &rows)) {
        return is_no_list(session->code);
    }
    take_writers(watermark, rows);
    mysql_free_result(rows);
    return true;
}

static bool
ask_writers(struct my_session *session, struct my_watermark *watermark)
{
    if (session->is_mariadb && !ask_list(session, sql_writers, watermark)) {
        return false;
    }
    return (session->is_mariadb && watermark->has_list) ||
           ask_list(session, sql_writers_schema, watermark);
}

/* FNV-1a of all values of a row. */
static uint64_t
hash_row(const MYSQL_ROW row, const unsigned long *lengths, unsigned count)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned long j = 0; j < lengths[i]; j++) {
            hash = (hash ^ (uint8_t)row[i][j]) * UINT64_C(1099511628211);
        }
        hash = (hash ^ 0xff) * UINT64_C(1099511628211);
    }
    return hash;
}

static bool
ask_prepared(struct my_session *session, struct my_watermark *watermark)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    if (!session->is_mariadb) {
        return true; /* they are on the list of locks already */
    }
    if (!my_session_ask(session, sql_prepared, &none, &rows)) {
        return false;
    }
    while ((row = mysql_fetch_row(rows)) != NULL) {
        add_writer(watermark, hash_row(row, mysql_fetch_lengths(rows), mysql_num_fields(rows)),
                   true);
    }
    mysql_free_result(rows);
    return true;
}

/* The order matters: see relay/ports/watermark.h, and source_watermark.h for the last step. */
bool
my_watermark_look(struct my_session *session, struct my_watermark *watermark)
{
    struct my_log_end end;
    if (!my_log_end_ask(session, NULL, &end)) {
        return false;
    }
    watermark->log_end = end.position;
    return my_last_id_ask(session, &watermark->last_id) && ask_writers(session, watermark) &&
           ask_prepared(session, watermark);
}

static bool
watermark_run(struct my_session *session, struct my_job *job)
{
    return my_watermark_look(session, (struct my_watermark *)job);
}

/* ---- on the pipeline's ---------------------------------------------------------------------------------- */

const char *
my_watermark_remedy(const struct source_mysql *self)
{
    return self->is_mariadb
               ? "run `install soname 'metadata_lock_info'` there, which needs no restart"
               : "grant select on performance_schema.* to the relay's account, with "
                 "performance_schema and its instrument wait/lock/metadata/sql/mdl on";
}

static void
tell_missing(struct source_mysql *self)
{
    if (!self->watermark.told) {
        self->watermark.told = true;
        my_notice(self, ERROR_TRANSIENT,
                  "the server does not say who writes the outbox, so each look at it begins at its "
                  "first row, which is slow while many deleted rows are not purged: %s",
                  my_watermark_remedy(self));
    }
}

static void
tell_others(struct source_mysql *self)
{
    if (!self->watermark.told && self->config->mode == SOURCE_MODE_POLL) {
        self->watermark.told = true;
        my_notice(
            self, ERROR_TRANSIENT,
            "other servers of a cluster may write the outbox, and their rows may have lower ids "
            "than those that were read, so each look at it begins at its first row, which is "
            "slow while many deleted rows are not purged: mode = \"tail\" avoids that");
    }
}

static void
forget_final_id(struct my_watermark *watermark)
{
    if (watermark->mark.final_id > 0) {
        watermark->final_own_id = watermark->mark.final_id;
        watermark->mark.final_id = 0;
    }
}

/* While the log is read, the id is for the sweep: rows up to it that the log has not brought once it has passed this
 * moment are missed. */
static int64_t
final_id(const struct source_mysql *self)
{
    const struct my_watermark *watermark = &self->watermark;
    return self->others_write && self->tail.state == MY_TAIL_STREAMING ? watermark->final_own_id
                                                                       : watermark->mark.final_id;
}

/* True if the end of the log went back. Positions ascend during an ownership, so these are positions of another log. */
static bool
went_back(struct my_watermark *watermark)
{
    const log_position position = watermark->log_end;
    const bool back = position != 0 && position < watermark->reached;
    watermark->reached = position > watermark->reached ? position : watermark->reached;
    return back;
}

bool
my_watermark_ids_anew(struct source_mysql *self, int64_t last_id, uint64_t now_us)
{
    struct my_watermark *watermark = &self->watermark;
    struct error error;
    if (last_id < 0 || last_id >= watermark->highest_id) {
        watermark->highest_id = last_id < 0 ? watermark->highest_id : last_id;
        return false;
    }
    error_set(&error, ERROR_TRANSIENT,
              "ids of the outbox begin anew, or from a lower one on (a truncate, another table of "
              "its name, or alter table): the relay starts again with them");
    my_source_lost(self, &error, now_us);
    return true;
}

static void
watermark_done_job(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_watermark *watermark = (struct my_watermark *)job;
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
        return;
    }
    if (went_back(watermark)) {
        my_tail_begun_anew(self, now_us);
        return;
    }
    if (my_watermark_ids_anew(self, watermark->last_id, now_us)) {
        return;
    }
    watermark->has_writers = watermark->has_list;
    if (!watermark->has_list) {
        tell_missing(self);
    } else if (watermark->last_id >= 0) {
        watermark_observe(&watermark->mark, watermark->log_end, watermark->last_id,
                          watermark->writers, watermark->count);
        if (self->others_write) {
            tell_others(self);
            forget_final_id(watermark);
        }
    }
    if (!self->owned_told) {
        self->owned_told = true;
        struct source_owned *const owned = &my_event_push(self, SOURCE_OWNED)->owned;
        (void)snprintf(owned->outbox, sizeof(owned->outbox), "%s", self->setup.outbox); /* fits */
        return;
    }
    my_event_push(self, SOURCE_FINAL)->final = (struct source_final){
        .id = final_id(self),
        .position = watermark->mark.final_position,
        /* Without a list the log is never begun. */
        .log_end = watermark->has_list ? watermark->log_end : 0,
    };
}

void
my_watermark_ask(struct source_mysql *self, uint64_t now_us)
{
    self->watermark.job =
        (struct my_job){.run = watermark_run, .done = watermark_done_job, .words = "who writes"};
    my_ask(self, &self->watermark.job, now_us);
}

/* What was found out about the server is forgotten with the session, but a notice is not repeated. */
void
my_watermark_lost(struct source_mysql *self)
{
    struct my_watermark *watermark = &self->watermark;
    watermark_done(&watermark->mark);
    memory_free(watermark->writers);
    *watermark = (struct my_watermark){.told = watermark->told};
}
