#include "relay/postgres/source_watermark.h"

#include <criterion/criterion.h>

Test(postgres_source_watermark, reads_the_names_of_transactions)
{
    struct watermark_writer one = {0};
    struct watermark_writer other = {0};
    cr_assert(pg_watermark_parse("3/13316", &one));
    cr_assert(one.session == 3 && one.transaction == 13316 && !one.orphan);
    cr_assert(pg_watermark_parse("-1/4294967295", &other));
    cr_assert_neq(one.session, other.session);
    cr_assert_not(pg_watermark_parse("", &one));
    cr_assert_not(pg_watermark_parse("3", &one));
    cr_assert_not(pg_watermark_parse("3/4 ", &one));
}
