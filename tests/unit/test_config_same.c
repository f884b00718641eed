/* Which changes of a configuration concern a source that runs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/config/config.h"
#include "relay/config/keys.h"
#include "relay/config/same.h"
#include "relay/config/template.h"
#include "relay/kinds/kinds.h"
#include "relay/rabbit/kind.h"
#include "tests/unit/config_fixture.h"

TestSuite(config_same, .init = conf_enter, .fini = conf_leave);

static void
fail(void *context, const char *problem)
{
    (void)context; /* none needed */
    cr_assert_fail("%s", problem);
}

/* `broker` and `source`: more of their sections. */
static struct config *
load(const char *global, const char *broker, const char *source)
{
    char text[2000];
    (void)snprintf(text, sizeof(text),
                   "%s\nbroker main { uri = \"amqp://relay:pw@rabbit/\" %s }\n"
                   "source orders { kind = postgres dsn = \"dbname=shop\" broker = main %s }\n",
                   global, broker, source); /* fits */
    conf_write("relay.conf", text, 0600);
    return config_load("relay.conf", database_kinds, &broker_rabbit, fail, NULL);
}

/* Whether the source of the configuration without more need not know of these additions. */
static bool
same_with(const char *global, const char *broker, const char *source)
{
    struct config *const before = load("", "", "");
    struct config *const after = load(global, broker, source);
    const bool same = config_same_source(&before->sources[0], &after->sources[0]);
    cr_assert_eq(same, config_same_source(&after->sources[0], &before->sources[0]));
    config_free(before);
    config_free(after);
    return same;
}

Test(config_same, what_does_not_concern_a_source)
{
    cr_assert(same_with("", "", ""));
    cr_assert(same_with("\n\n# a comment\n", "", ""), "another line");
    cr_assert(same_with("log_level = debug shutdown_timeout = 1s", "", ""));
    cr_assert(same_with("broker other { uri = \"amqp://u@elsewhere/\" }", "", ""));
    cr_assert(
        same_with("", "", "} source other { kind = postgres dsn = \"dbname=other\" broker = main"));
    cr_assert(same_with("exchange e { broker = main } queue q { broker = main }", "", ""));
    cr_assert(same_with("", "heartbeat = 30s", "mode = auto"), "a default that is written out");
}

/* A value other than the default, for a key that is no required one. For free. */
static char *
other_value(const struct config_key *key)
{
    const char *other = "other";
    if (key->min != NULL) {
        other = strcmp(key->default_value, key->max) != 0 ? key->max : key->min;
    } else if (key->choices != NULL) {
        other =
            strcmp(key->default_value, key->choices[0]) != 0 ? key->choices[0] : key->choices[1];
    }
    return strdup(other);
}

/* What another key needs, or excludes. */
static const char *
beside(const char *name)
{
    if (strcmp(name, "tableless") == 0) {
        return "mode = tail";
    }
    return strcmp(name, "retry_initial") == 0       ? "retry_max = 1d"
           : strcmp(name, "reconnect_initial") == 0 ? "reconnect_max = 10m"
                                                    : "";
}

/* The table of keys, so that a new key cannot be forgotten. */
Test(config_same, each_key_concerns_it)
{
    conf_write("other", "secret", 0600);
    size_t tried = 0;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *const key = &config_keys[i];
        const bool of_broker = key->scope == CONFIG_BROKER;
        if ((!of_broker && key->scope != CONFIG_SOURCE) || (key->flags & CONFIG_REQUIRED) != 0 ||
            strcmp(key->name, "tableless_old_prefix") == 0 || template_owns(key)) {
            continue;
        }
        char text[200];
        char *const value = other_value(key);
        (void)snprintf(text, sizeof(text), "%s = %s %s", key->name, value,
                       beside(key->name)); /* fits */
        cr_assert_not(same_with("", of_broker ? text : "", of_broker ? "" : text), "%s", text);
        free(value);
        tried++;
    }
    cr_assert_gt(tried, 25);
}

static bool
same_texts(const char *before, const char *after)
{
    conf_write("relay.conf", before, 0600);
    struct config *const a = config_load("relay.conf", database_kinds, &broker_rabbit, fail, NULL);
    conf_write("relay.conf", after, 0600);
    struct config *const b = config_load("relay.conf", database_kinds, &broker_rabbit, fail, NULL);
    const bool same = config_same_source(&a->sources[0], &b->sources[0]);
    config_free(a);
    config_free(b);
    return same;
}

#define TEXT(kind, name, dsn, broker, uri)                                                   \
    "broker " broker " { uri = \"" uri "\" } source " name " { kind = " kind " dsn = \"" dsn \
    "\" broker = " broker " }"

Test(config_same, so_do_the_required_ones)
{
    static const char text[] = TEXT("postgres", "s", "host=h dbname=a", "b", "amqp://u:p@h/");
    cr_assert(same_texts(text, text));
    cr_assert_not(same_texts(text, TEXT("mysql", "s", "host=h dbname=a", "b", "amqp://u:p@h/")));
    cr_assert_not(same_texts(text, TEXT("postgres", "t", "host=h dbname=a", "b", "amqp://u:p@h/")));
    cr_assert_not(same_texts(text, TEXT("postgres", "s", "host=h dbname=b", "b", "amqp://u:p@h/")));
    cr_assert_not(same_texts(text, TEXT("postgres", "s", "host=h dbname=a", "c", "amqp://u:p@h/")));
    cr_assert_not(same_texts(text, TEXT("postgres", "s", "host=h dbname=a", "b", "amqp://u:q@h/")));
}

/* Read at each connection. */
Test(config_same, what_is_in_a_password_file_does_not)
{
    conf_write("password", "one", 0600);
    struct config *const before = load("", "", "password_file = password");
    conf_write("password", "two", 0600);
    struct config *const after = load("", "", "password_file = password");
    cr_assert(config_same_source(&before->sources[0], &after->sources[0]));
    config_free(before);
    config_free(after);
}
