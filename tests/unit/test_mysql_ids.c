#include "relay/mysql/ids.h"

#include <criterion/criterion.h>

Test(mysql_ids, are_found_once_they_are_sorted)
{
    struct my_ids ids = my_ids_with_room(4);
    for (int64_t id = 3; id > -1; id--) {
        ids.items[ids.count++] = id == 2 ? INT64_MIN : id * 10;
    }
    my_ids_sort(&ids);
    cr_assert(ids.items[0] == INT64_MIN && ids.items[1] == 0 && ids.items[3] == 30);
    cr_assert(my_ids_have(&ids, INT64_MIN) && my_ids_have(&ids, 30) && my_ids_have(&ids, 0));
    cr_assert(!my_ids_have(&ids, 20) && !my_ids_have(&ids, INT64_MAX));
    my_ids_done(&ids);
}

Test(mysql_ids, none_are_none)
{
    struct my_ids ids = my_ids_with_room(0);
    my_ids_sort(&ids);
    cr_assert_not(my_ids_have(&ids, 0));
    my_ids_done(&ids);
}
