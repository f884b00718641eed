/* The parts of a source's section that depend on its kind of database, with two invented kinds. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "relay/config/config.h"
#include "relay/ports/database.h"
#include "relay/rabbit/kind.h"

#define BROKER "broker \"main\" { uri = \"amqp://relay@rabbit/\" }\n"

/* Accepts a dsn that begins with the kind's name, and returns it in capitals. */
static bool
take(const char *name, const char *text, char **ret_dsn, struct error *reterr)
{
    if (strncmp(text, name, strlen(name)) != 0) {
        return error_set(reterr, ERROR_CONFIG, "expected a dsn of %s", name);
    }
    *ret_dsn = memory_string(text);
    for (char *at = *ret_dsn; *at != '\0'; at++) {
        *at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
    }
    return true;
}

static bool
take_apple(const char *text, const char *directory, char **ret_dsn, struct error *reterr)
{
    (void)directory; /* no files */
    return take("apple", text, ret_dsn, reterr);
}

static bool
take_pear(const char *text, const char *directory, char **ret_dsn, struct error *reterr)
{
    (void)directory; /* no files */
    return take("pear", text, ret_dsn, reterr);
}

static char *
one_place(const char *dsn)
{
    (void)dsn; /* there is only one */
    return memory_string("here");
}

static void
advise_nothing(const struct source_config *source, struct config_warnings *warnings,
               struct config_warnings *advice)
{
    (void)source;   /* whatever it is */
    (void)warnings; /* none */
    (void)advice;   /* none */
}

static bool
has_no_password(const char *dsn)
{
    (void)dsn; /* whatever it is */
    return false;
}

static bool
check_slot(const char *text, struct error *reterr)
{
    return strcmp(text, "good") == 0 || error_set(reterr, ERROR_CONFIG, "expected good");
}

static bool
check_keys(const struct source_config *source, const char **ret_key, struct error *reterr)
{
    *ret_key = "slot";
    return source->wal_retain_max == 0 || source->slot != NULL ||
           error_set(reterr, ERROR_CONFIG, "wal_retain_max needs slot");
}

static const struct database_kind apple = {
    .name = "apple",
    .dsn_take = take_apple,
    .dsn_place = one_place,
    .dsn_server = one_place,
    .dsn_advise = advise_nothing,
    .dsn_has_password = has_no_password,
    .keys = (const struct database_key[]){{"slot", check_slot}, {"wal_retain_max", NULL}, {0}},
    .keys_check = check_keys,
};
static const struct database_kind pear = {
    .name = "pear",
    .dsn_take = take_pear,
    .dsn_place = one_place,
    .dsn_server = one_place,
    .dsn_advise = advise_nothing,
    .dsn_has_password = has_no_password,
    .keys = (const struct database_key[]){{0}},
};
static const struct database_kind *const kinds[] = {&apple, &pear, NULL};

static void
collect(void *context, const char *problem)
{
    char *const all = context;
    (void)strncat(all, problem + strcspn(problem, ":") + 1,
                  900 - strlen(all)); /* compared as a whole */
    (void)strncat(all, "\n", 900 - strlen(all));
}

static struct config *
load(const char *text, char ret_problems[1000])
{
    char path[] = "/tmp/test_config_kinds.XXXXXX";
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ret_problems[0] = '\0';
    struct config *const config = config_load(path, kinds, &broker_rabbit, collect, ret_problems);
    cr_assert_eq(close(fd) + unlink(path), 0);
    return config;
}

static void
expect_problems(const char *text, const char *expected)
{
    char problems[1000];
    cr_expect_null(load(text, problems));
    cr_expect_str_eq(problems, expected);
}

/* Wherever `kind` stands in its section. */
Test(config_kinds, a_dsn_is_read_as_its_kind_reads_it)
{
    char problems[1000];
    struct config *const config =
        load(BROKER "source a { kind = apple dsn = apple-1 broker = main\n"
                    "wal_retain_max = 0 }\n"
                    "source b { dsn = pear-1 broker = main kind = pear }\n",
             problems);
    cr_assert_not_null(config, "%s", problems);
    cr_expect_eq(config->sources[0].kind, &apple);
    cr_expect_str_eq(config->sources[0].dsn, "APPLE-1");
    cr_expect_eq(config->sources[1].kind, &pear);
    cr_expect_str_eq(config->sources[1].dsn, "PEAR-1");
    config_free(config);
    expect_problems(BROKER "source b { dsn = apple-1 broker = main kind = pear }\n",
                    "2: source \"b\": dsn: expected a dsn of pear\n");
}

Test(config_kinds, a_key_that_the_kind_has_not_is_refused)
{
    expect_problems(
        BROKER "source b {\n"
               "slot = good\n"
               "dsn = apple-1 broker = main\n"
               "wal_retain_max = 1GiB\n"
               "kind = pear }\n",
        "3: source \"b\": slot = good: this key is for kind = \"apple\" alone\n"
        "4: source \"b\": dsn: expected a dsn of pear\n"
        "5: source \"b\": wal_retain_max = 1GiB: this key is for kind = \"apple\" alone\n");
}

Test(config_kinds, a_key_is_checked_by_its_kind)
{
    expect_problems(BROKER "source a { kind = apple dsn = apple-1 broker = main\n"
                           "slot = bad }\n",
                    "3: source \"a\": slot = bad: expected good\n"
                    "3: source \"a\": wal_retain_max needs slot\n");
}

/* Its dsn and keys cannot be checked, and so are not reported. */
Test(config_kinds, an_unknown_kind)
{
    expect_problems(BROKER "source a { kind = plum dsn = plum-1 broker = main slot = bad }\n",
                    "2: source \"a\": kind = plum: expected \"apple\" or \"pear\"\n");
}

Test(config_kinds, one_place_of_two_kinds_is_not_one_outbox)
{
    expect_problems(BROKER
                    "source a { kind = pear dsn = pear-1 broker = main }\n"
                    "source b { kind = apple dsn = apple-1 broker = main wal_retain_max = 0 }\n"
                    "source c { kind = pear dsn = pear-2 broker = main }\n",
                    "4: source \"c\": dsn leads to the same outbox as that of source \"a\" in line "
                    "2\n");
}
