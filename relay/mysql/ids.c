#include "relay/mysql/ids.h"

#include <stdlib.h>

#include "base/memory.h"

struct my_ids
my_ids_with_room(size_t count)
{
    return (struct my_ids){.items = memory_array(count + 1, sizeof(int64_t))};
}

void
my_ids_done(struct my_ids *ids)
{
    memory_free(ids->items);
}

static int
compare_int64(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

void
my_ids_sort(struct my_ids *ids)
{
    qsort(ids->items, ids->count, sizeof(*ids->items), compare_int64);
}

bool
my_ids_have(const struct my_ids *ids, int64_t id)
{
    return bsearch(&id, ids->items, ids->count, sizeof(*ids->items), compare_int64) != NULL;
}

bool
my_ids_ask(struct my_session *session, const char *sql, const struct my_ids *asked,
           struct my_ids *ret_ids)
{
    struct my_parameters parameters = {.count = 0};
    MYSQL_RES *rows;
    MYSQL_ROW row;
    my_parameters_ids(&parameters, "ids", asked->items, asked->count);
    if (!my_session_ask(session, sql, &parameters, &rows)) {
        return false;
    }
    while ((row = mysql_fetch_row(rows)) != NULL) {
        ret_ids->items[ret_ids->count++] = my_value_int(row[0]);
    }
    mysql_free_result(rows);
    return true;
}

bool
my_ids_run(struct my_session *session, const char *sql, const int64_t *ids, size_t count)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_ids(&parameters, "ids", ids, count);
    return my_session_run(session, sql, &parameters, NULL);
}
