#include "relay/mysql/foreground.h"

#include <string.h>

#include "base/memory.h"
#include "base/mysql/connect.h"
#include "relay/config/password.h"
#include "relay/config/secret.h"

#include "mysql_foreground_sql.h"
#include "mysql_isolation_sql.h"

#define TEXT_KEEP_BYTES (64UL * 1024)
#define TEXT_MAX_BYTES (16UL * 1024 * 1024) /* long lists of ids are split into parts */

/* Not the name of a running relay's sessions (link.c). */
#define PROGRAM_NAME "outbox-relay"

static MYSQL *
connect_with(const struct source_config *source, const struct dsn *dsn, bool writes,
             unsigned silence_s, struct error *reterr)
{
    char *password = NULL;
    if (!dsn_mysql_files_check(dsn, reterr) ||
        !password_get(&source->password, &password, reterr)) {
        return NULL;
    }
    const struct mysql_connect_options options = {
        .dsn = dsn,
        .password = password,
        .program_name = PROGRAM_NAME,
        .silence_s = silence_s,
        .writes = writes,
        .only_host = -1,
    };
    MYSQL *const mysql = mysql_connect_by_dsn(&options, NULL, NULL, reterr);
    config_secret_free(password);
    return mysql;
}

static MYSQL *
connect_to(const struct source_config *source, bool writes, unsigned silence_s,
           struct error *reterr)
{
    struct dsn dsn;
    if (!dsn_mysql_parse(source->dsn, &dsn, reterr)) {
        return NULL;
    }
    MYSQL *const mysql = connect_with(source, &dsn, writes, silence_s, reterr);
    dsn_done(&dsn);
    return mysql;
}

static bool
set_up(struct my_session *session, struct error *reterr)
{
    static const struct my_parameters none = {.count = 0};
    if (!my_session_run(session, sql_isolation, &none, NULL) ||
        !my_session_run(session, sql_foreground, &none, NULL)) {
        *reterr = session->error;
        return false;
    }
    return true;
}

static struct my_session *
open_session(const struct source_config *source, bool writes, unsigned silence_s,
             struct error *reterr)
{
    MYSQL *const mysql = connect_to(source, writes, silence_s, reterr);
    if (mysql == NULL) {
        return NULL;
    }
    struct my_session *const session = memory_array(1, sizeof(*session));
    session->mysql = mysql;
    session->config = source;
    session->is_mariadb = strstr(mysql_get_server_info(mysql), "MariaDB") != NULL;
    buffer_init(&session->text, TEXT_KEEP_BYTES, TEXT_MAX_BYTES);
    if (!set_up(session, reterr)) {
        my_foreground_close(session);
        return NULL;
    }
    return session;
}

struct my_session *
my_foreground_open(const struct source_config *source, bool writes, struct error *reterr)
{
    return open_session(source, writes, 0, reterr);
}

struct my_session *
my_foreground_open_limited(const struct source_config *source, unsigned silence_s,
                           struct error *reterr)
{
    return open_session(source, false, silence_s, reterr);
}

void
my_foreground_close(struct my_session *session)
{
    if (session != NULL) {
        mysql_close(session->mysql);
        buffer_done(&session->text);
        memory_free(session);
    }
}
