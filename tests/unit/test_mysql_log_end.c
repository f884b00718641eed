#include <criterion/criterion.h>

#include "relay/mysql/log_end.h"

Test(mysql_log_end, names_in_a_list)
{
    cr_assert(my_log_end_lists("shop", "shop"));
    cr_assert(my_log_end_lists("a,shop,b", "shop"));
    cr_assert(my_log_end_lists("a,shop", "shop"));
    cr_assert_not(my_log_end_lists("", "shop"));
    cr_assert_not(my_log_end_lists("shop2,myshop,sho", "shop"));
    cr_assert_not(my_log_end_lists("a,,b", "shop"));
}
