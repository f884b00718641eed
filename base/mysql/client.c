#include "base/mysql/client.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

static bool
find(const void *address, struct dl_find_object *ret_object)
{
    return _dl_find_object((void *)(uintptr_t)address, ret_object) == 0;
}

/* A connection points to the functions of its library. The struct of another library has something else at that place. The
 * check takes 10 ns. */
bool
mysql_client_made(const MYSQL *mysql)
{
    struct dl_find_object ours;
    struct dl_find_object its;
    return mysql->methods == NULL || /* it is not connected */
           (find(mysql_get_client_info(), &ours) && find(mysql->methods, &its) &&
            ours.dlfo_link_map == its.dlfo_link_map);
}
