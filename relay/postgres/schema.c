#include "relay/postgres/schema.h"

#include "base/limits.h"
#include "relay/postgres/foreground.h"

#include "schema_functions_sql.h"
#include "schema_lacks_sql.h"
#include "schema_writing_sql.h"

enum column { COLUMN_WHAT, COLUMN_STATE, COLUMN_BEFORE };

#define NUMBER(macro) NUMBER_OF(macro)
#define NUMBER_OF(number) #number
#define AT_MOST(text, macro) "\"octet_length(" text ") <= " NUMBER(macro) "\""

/* clang-format off */
const char postgres_schema_limits[] = "{"
    AT_MOST("exchange", LIMIT_NAME_BYTES) ","
    AT_MOST("routing_key", LIMIT_NAME_BYTES) ","
    AT_MOST("key", LIMIT_KEY_BYTES) ","
    AT_MOST("type", LIMIT_NAME_BYTES) ","
    AT_MOST("content_type", LIMIT_NAME_BYTES) ","
    AT_MOST("headers::text", LIMIT_HEADERS_BYTES) "}";
/* clang-format on */

/* What there must be is read from the scripts themselves, so that it is written only once. */
PGresult *
postgres_schema_look(PGconn *connection, struct error *reterr)
{
    const char *const scripts[] = {sql_schema_functions, sql_schema_writing};
    return postgres_query_with(connection, sql_schema_lacks, 2, scripts, reterr);
}

struct postgres_lack
postgres_schema_lack(const PGresult *lacks, int index)
{
    return (struct postgres_lack){
        .what = PQgetvalue(lacks, index, COLUMN_WHAT),
        .state = PQgetvalue(lacks, index, COLUMN_STATE),
        .before = PQgetvalue(lacks, index, COLUMN_BEFORE), /* NULL is "" */
    };
}
