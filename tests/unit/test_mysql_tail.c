#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "relay/mysql/tail.h"

static char told[2000];

static void
tell(void *context, const char *words)
{
    const size_t used = strlen(told);
    (void)context;
    (void)snprintf(told + used, sizeof(told) - used, "%s\n", words); /* fits */
}

static struct my_tail_facts
good(void)
{
    return (struct my_tail_facts){
        .is_mariadb = true,
        .has_log = true,
        .format = "ROW",
        .image = "FULL",
        .end = {.position = 1},
    };
}

static void
expect(const struct my_tail_facts *facts, size_t count, const char *words)
{
    told[0] = '\0';
    cr_assert_eq(my_tail_lacks(facts, "shop", tell, NULL), count, "%s", told);
    cr_assert_not_null(strstr(told, words), "%s", told);
}

Test(mysql_tail, nothing_lacks)
{
    struct my_tail_facts facts = good();
    expect(&facts, 0, "");
    facts.format[0] = '\0'; /* a server without this setting */
    facts.image[0] = '\0';
    expect(&facts, 0, "");
    (void)snprintf(facts.image, sizeof(facts.image), "FULL_NODUP");
    expect(&facts, 0, "");
}

/* Without a log nothing else is reported. */
Test(mysql_tail, no_log)
{
    struct my_tail_facts facts = {.format = "MIXED", .image = "MINIMAL"};
    expect(&facts, 1, "start it with log_bin and server_id");
}

Test(mysql_tail, all_that_lacks_is_told)
{
    struct my_tail_facts facts = good();
    (void)snprintf(facts.format, sizeof(facts.format), "MIXED");
    (void)snprintf(facts.image, sizeof(facts.image), "MINIMAL");
    facts.lacks_others = true;
    facts.end.is_left_out = true;
    expect(&facts, 4, "binlog_format is MIXED");
    expect(&facts, 4, "set global binlog_format = 'ROW'");
    expect(&facts, 4, "binlog_row_image is MINIMAL");
    expect(&facts, 4, "set global binlog_row_image = 'FULL'");
    expect(&facts, 4, "start it with log_slave_updates");
    expect(&facts, 4, "leaves database \"shop\" out of its log: mend its binlog_do_db");
    (void)snprintf(facts.image, sizeof(facts.image), "noblob");
    expect(&facts, 4, "binlog_row_image is noblob");
}

Test(mysql_tail, where_the_log_ends)
{
    struct my_tail_facts facts = good();
    facts.end = (struct my_log_end){.is_refused = true};
    expect(&facts, 1, "grant binlog monitor on *.*");
    facts.is_mariadb = false;
    expect(&facts, 1, "grant replication client on *.*");
    facts.end.is_refused = false;
    expect(&facts, 1, "is not one of numbered files");
}
