#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"
#include "relay/postgres/sql.h"

static void
expect(const char *sql, const char *schema, const char *wanted)
{
    char *text = postgres_sql(sql, schema);
    cr_assert_str_eq(text, wanted);
    memory_free(text);
}

Test(postgres_sql, the_schema_stands_where_its_name_stands)
{
    expect("select 1 from :\"schema\".outbox, :\"schema\".outbox_held", "shop",
           "select 1 from \"shop\".outbox, \"shop\".outbox_held");
    expect("to_regclass(format('%I.outbox', :'schema'))", "shop",
           "to_regclass(format('%I.outbox', 'shop'))");
}

Test(postgres_sql, the_rest_stays_as_it_is)
{
    expect("", "shop", "");
    expect("select ''::text, $1::int8, ':', :schema, :\"schema, :'schema\", :\"other\", a[1:2] :",
           "shop",
           "select ''::text, $1::int8, ':', :schema, :\"schema, :'schema\", :\"other\", a[1:2] :");
}

Test(postgres_sql, a_name_cannot_end_its_quotes)
{
    expect(":\"schema\" :'schema'", "a\"b'c", "\"a\"\"b'c\" 'a\"b''c'");
    expect(":\"schema\" :'schema'", "a\\'b", "\"a\\'b\"  E'a\\\\''b'");
    char longest[64];
    memset(longest, '"', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    char *text = postgres_sql(":\"schema\"", longest);
    cr_assert_eq(strlen(text), 2 * strlen(longest) + 2);
    memory_free(text);
}

Test(postgres_sql, who_finds_no_outbox_is_told_what_to_do)
{
    struct error error;
    cr_assert_not(postgres_refuse_absent(NULL, &error));
    cr_assert_not_null(strstr(error.text, "run `outbox-relay init`"));
    cr_assert_not(postgres_refuse_absent("shop", &error));
    cr_assert_not_null(strstr(error.text, "grant usage on schema \"shop\""));
}
