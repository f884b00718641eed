/* The tenants of a template, from answer to answer; and the configuration in which each has a source. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/dsn.h"
#include "relay/config/dsn.h"
#include "relay/config/secret.h"
#include "relay/config/template.h"
#include "relay/config/tenants.h"
#include "relay/postgres/kind.h"
#include "tests/unit/config_fixture.h"

#define TEMPLATE(more)                                                                    \
    "broker main { uri = \"amqp://h\" }\n"                                                \
    "source \"shop-*\" { kind = mysql broker = main dsn = \"host=h dbname=s_{tenant}\"\n" \
    "  discover = \"select 1\" exchange = \"{tenant}.events\" " more " }\n"

/* One byte longer than PostgreSQL takes. */
#define LONG_NAME "0123456789012345678901234567890123456789012345678901234567890123"

static struct config *loaded;
static struct tenants tenants;
static struct tenants_change change;

static void
enter(void)
{
    conf_enter();
    loaded = conf_load_good(TEMPLATE("discover_max = 3"));
}

static void
leave(void)
{
    tenants_done(&tenants);
    config_free(loaded);
    conf_leave();
}

TestSuite(tenants, .init = enter, .fini = leave);

/* An answer with these names, with a comma between them. */
static void
learn(const char *text)
{
    struct database_names names = {.count = 0};
    for (const char *at = text; *at != '\0';) {
        const size_t size = strcspn(at, ",");
        database_names_add(&names, at, size);
        at += at[size] == ',' ? size + 1 : size;
    }
    tenants_learn(&tenants, &loaded->templates[0], &names, &change);
    database_names_done(&names);
}

/* Those that have or may have a source, with a comma behind each; "!" stands before one that is missing. */
static void
expect(const char *expected)
{
    char text[500] = "";
    for (size_t i = 0; i < tenants.usable; i++) {
        const size_t length = strlen(text);
        (void)snprintf(text + length, sizeof(text) - length, "%s%s,",
                       tenants.list[i].missing ? "!" : "", tenants.list[i].name); /* fits */
    }
    cr_assert_str_eq(text, expected);
}

Test(tenants, who_is_gone_from_two_answers_ends)
{
    learn("b,a");
    expect("a,b,");
    learn("b,c");
    expect("!a,b,c,");
    learn("b,c,a");
    expect("a,b,c,");
    learn("b");
    expect("!a,b,!c,");
    cr_assert_eq(change.removed, 0);
    learn("b");
    expect("b,");
    cr_assert_eq(change.removed, 2);
}

Test(tenants, an_answer_with_nobody_ends_nobody)
{
    learn("a,b");
    for (int i = 0; i < 5; i++) {
        learn(i == 3 ? "not a name" : "");
        expect("a,b,");
        cr_assert(tenants.emptied);
    }
    learn("a");
    cr_assert_not(tenants.emptied);
    expect("a,!b,");
}

Test(tenants, those_that_run_come_before_new_ones)
{
    learn("m,n");
    learn("a,b,c,m,n");
    expect("a,m,n,");
    cr_assert_eq(tenants.beyond, 2);
    cr_assert_eq(tenants_refused(&tenants), 2);
}

Test(tenants, names_that_no_source_can_have)
{
    struct database_names names = {.count = 0};
    static const char *const hostile[] = {"a b",      "a'b",  "a\"b", "a%s",    "a\nb",
                                          "\xc3\xa4", "",     "..",   "a/b",    "{tenant}",
                                          "a;b",      "a\\b", "a*",   LONG_NAME};
    const size_t count = sizeof(hostile) / sizeof(hostile[0]);
    for (size_t i = 0; i < count; i++) {
        database_names_add(&names, hostile[i], strlen(hostile[i]));
    }
    database_names_add(&names, "a\0b", 3);
    database_names_add(&names, NULL, 0);
    database_names_add(&names, "good", 4);
    database_names_add(&names, "good", 4);
    tenants_learn(&tenants, &loaded->templates[0], &names, &change);
    database_names_done(&names);
    expect("good,");
    cr_assert_eq(tenants.unusable, count + 3);
    for (size_t i = tenants.usable; i < tenants.count; i++) {
        cr_assert_not_null(tenants.list[i].refusal);
        for (const char *at = tenants.list[i].name; *at != '\0'; at++) {
            cr_assert(*at >= ' ' && *at < 0x7f);
        }
        tenants.list[i].told = true;
    }
    learn("good,a b");
    cr_assert(tenants.list[1].told, "it would be told with each answer");
}

/* search_path takes a bare name for one of small letters. */
Test(tenants, capitals_in_a_search_path_need_quotes)
{
    struct error error;
    const struct database_kind *const kind = &database_postgres;
    static const char bare[] = "dbname=d options='-c search_path={tenant}'";
    static const char quoted[] = "dbname=d options='-c search_path=\"{tenant}\"'";
    cr_assert(kind->tenant_fits(bare, "shop_7", &error));
    cr_assert_not(kind->tenant_fits(bare, "Shop_7", &error));
    cr_assert_not_null(strstr(error.text, "double quotes"), "%s", error.text);
    cr_assert(kind->tenant_fits(quoted, "Shop_7", &error));
    cr_assert(kind->tenant_fits("dbname={tenant}", "Shop_7", &error));
}

/* Which database the query runs in, at which host. */
static void
expect_place(const char *dsn, const char *discover_dsn, const char *host, const char *database)
{
    struct error error;
    struct dsn parsed;
    const struct source_config source = {.dsn = (char *)(uintptr_t)dsn,
                                         .discover_dsn = (char *)(uintptr_t)discover_dsn};
    char *const place = config_dsn_discover(&source, dsn_mysql_parse, "everybodys", &error);
    cr_assert(dsn_mysql_parse(place, &parsed, &error), "%s", error.text);
    config_secret_free(place);
    cr_expect_str_eq(dsn_value(&parsed, "host"), host);
    cr_expect_str_eq(dsn_value(&parsed, "dbname"), database);
    dsn_done(&parsed);
}

Test(tenants, the_query_runs_where_every_tenant_is_seen)
{
    expect_place("host=h dbname={tenant}", NULL, "h", "everybodys");
    expect_place("host=h dbname=d user={tenant}", NULL, "h", "d");
    expect_place("host=h dbname={tenant}", "host=other dbname=o", "other", "o");
}

Test(tenants, each_has_a_source)
{
    learn("a,b");
    struct config *const config = config_with_tenants(loaded, &tenants);
    cr_assert_eq(config->source_count, 2);
    cr_assert_str_eq(config->sources[1].name, "shop-b");
    cr_assert_str_eq(config->sources[1].dsn, "host=h dbname=s_b");
    cr_assert_str_eq(config->sources[1].exchange, "b.events");
    cr_assert_null(config->sources[1].discover);
    cr_assert(config->sources[1].crowded);
    config_free(config);
}

static void
reload(const char *text)
{
    struct config *const config = conf_load_good(text);
    config_free(loaded);
    loaded = config;
}

static const char *
refusal_of(const char *tenant)
{
    for (size_t i = 0; i < tenants.usable; i++) {
        if (strcmp(tenants.list[i].name, tenant) == 0) {
            return tenants.list[i].refusal;
        }
    }
    return "there is no such tenant";
}

/* Whoever is refused, and wherever the name stands in the order, is refused alone. */
Test(tenants, a_name_or_an_outbox_that_another_source_has)
{
    char names[4000] = "a,b,zz";
    reload(
        TEMPLATE("discover_max = 1000") "source \"shop-m500\" { kind = mysql broker = main dsn = "
                                        "\"host=h dbname=x\" }\n"
                                        "source \"shop-zz\" { kind = mysql broker = main dsn = "
                                        "\"host=h dbname=y\" }\n"
                                        "source \"other\" { kind = mysql broker = main dsn = "
                                        "\"host=h dbname=s_a\" }\n");
    for (unsigned i = 400; i < 700; i++) {
        const size_t length = strlen(names);
        (void)snprintf(names + length, sizeof(names) - length, ",m%u", i); /* fits */
    }
    learn(names);
    struct config *const config = config_with_tenants(loaded, &tenants);
    cr_assert_eq(config->source_count, 3 + 303 - 3);
    cr_assert_eq(tenants_refused(&tenants), 3);
    cr_assert_str_eq(refusal_of("m500"), "there is a source \"shop-m500\" already");
    cr_assert_str_eq(refusal_of("zz"), "there is a source \"shop-zz\" already");
    cr_assert_str_eq(refusal_of("a"),
                     "its dsn leads to the same outbox as that of source \"other\"");
    cr_assert_null(refusal_of("b"));
    config_free(config);
}

/* Two templates may find the same. */
Test(tenants, a_tenant_that_another_template_has)
{
    reload(TEMPLATE(
        "") "source \"*-b\" { kind = mysql broker = main dsn = \"host=g dbname=s_{tenant}\"\n"
            "  discover = \"select 1\" }\n"
            "source \"x-*\" { kind = mysql broker = main dsn = \"host=h dbname={tenant}\"\n"
            "  discover = \"select 1\" }\n");
    struct tenants all[3] = {{.count = 0}};
    static const char *const names[] = {"b", "shop", "s_b"};
    for (size_t i = 0; i < 3; i++) {
        struct database_names answer = {.count = 0};
        database_names_add(&answer, names[i], strlen(names[i]));
        tenants_learn(&all[i], &loaded->templates[i], &answer, &change);
        database_names_done(&answer);
    }
    struct config *const config = config_with_tenants(loaded, all);
    cr_assert_eq(config->source_count, 1);
    cr_assert_str_eq(all[1].list[0].refusal,
                     "there is a source \"shop-b\" already, of the template \"shop-*\"");
    cr_assert_str_eq(all[2].list[0].refusal,
                     "its dsn leads to the same outbox as that of source \"shop-b\"");
    config_free(config);
    for (size_t i = 0; i < 3; i++) {
        tenants_done(&all[i]);
    }
}
