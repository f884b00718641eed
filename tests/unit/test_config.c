#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "relay/config/config.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"
#include "relay/kinds/kinds.h"
#include "relay/rabbit/endpoint.h"
#include "tests/unit/config_fixture.h"

#define BROKER "broker \"main\" { uri = \"amqp://relay@rabbit/\" }\n"
#define SOURCE "source \"orders\" { kind = postgres dsn = \"dbname=shop\" broker = main }\n"

TestSuite(config, .init = conf_enter, .fini = conf_leave);

/* Like expect_problems, after a good broker in line 1 and a good source in line 2. */
static void
expect_more_problems(const char *text, const char *expected)
{
    char whole[2000];
    (void)snprintf(whole, sizeof(whole), BROKER SOURCE "%s", text); /* fits */
    conf_expect_problems(whole, expected);
}

Test(config, defaults)
{
    struct config *const config = conf_load_good(BROKER SOURCE);
    cr_assert_eq(config->log_format, LOG_FORMAT_LOGFMT);
    cr_assert_eq(config->log_level, LOG_INFO);
    cr_assert_eq(config->shutdown_timeout_us, 30000000);
    cr_assert_eq(config->warnings.count, 0);
    cr_assert_eq(config->broker_count, 1);
    const struct broker_config *const broker = &config->brokers[0];
    cr_assert_str_eq(broker->name, "main");
    cr_assert_str_eq(broker->endpoint->amqp.hosts[0].name, "rabbit");
    cr_assert_null(broker->password.file);
    cr_assert_null(broker->password.command);
    cr_assert_eq(broker->password.timeout_us, 10000000);
    cr_assert_eq(broker->heartbeat_s, 30);
    cr_assert_eq(broker->confirm_timeout_us, 30000000);
    cr_assert_eq(broker->reconnect_initial_us, 200000);
    cr_assert_eq(broker->reconnect_max_us, 30000000);
    cr_assert_eq(config->source_count, 1);
    const struct source_config *const source = &config->sources[0];
    cr_assert_str_eq(source->name, "orders");
    cr_assert_str_eq(source->kind->name, "postgres");
    cr_assert_eq(source->mode, SOURCE_MODE_AUTO);
    cr_assert_null(source->slot);
    cr_assert_null(source->publication);
    cr_assert_not(source->tableless);
    cr_assert_not(source->tableless_old_prefix);
    cr_assert_eq(source->wal_retain_max, UINT64_C(10) << 30);
    cr_assert_eq(source->heartbeat_interval_us, 0);
    cr_assert_eq(source->broker, broker);
    cr_assert_str_eq(source->dsn, "dbname=shop");
    cr_assert_str_eq(source->exchange, "");
    cr_assert_eq(source->publishers, 1);
    cr_assert_eq(source->batch_rows, 1000);
    cr_assert_eq(source->batch_bytes, 4194304);
    cr_assert_eq(source->takeover_us, 15000000);
    config_free(config);
}

static void
expect_secret(const char *path, const char *text)
{
    struct error error;
    char *const secret = config_secret_read(path, &error);
    cr_assert_not_null(secret, "%s", error.text);
    cr_assert_str_eq(secret, text);
    config_secret_free(secret);
}

Test(config, everything_given)
{
    conf_write("broker.password", "pass of the broker\n", 0600);
    conf_write("db.password", "pass of the database\r\n", 0600);
    struct config *const config = conf_load_good(
        "log_format = json\n"
        "log_level = \"debug\"\n"
        "shutdown_timeout = 0\n"
        "broker \"main\" {\n"
        "  uri = 'amqps://relay@a,b:5673/shop'  password_file = broker.password\n"
        "  heartbeat = 10s confirm_timeout = 1m reconnect_initial = 10ms reconnect_max = 100ms\n"
        "}\n"
        "source orders { # the name needs no quotes\n"
        "  kind = \"postgres\" mode = \"tail\" dsn = \"postgresql://relay@db/shop\"\n"
        "  password_file = \"db.password\" broker = \"main\" exchange = \"orders\"\n"
        "  publishers = 4 batch_rows = 1 batch_bytes = 64KiB window_messages = 2\n"
        "  window_bytes = 1GiB poll_interval_max = 250ms sweep_interval = 5m takeover = 2s\n"
        "  retry_initial = 1s retry_max = 1d held_max = 7\n"
        "  slot = relay_1 publication = 'Änderungen' wal_retain_max = 1GiB\n"
        "  heartbeat_interval = 10s tableless = true tableless_old_prefix = true\n"
        "}\n");
    cr_assert_eq(config->log_format, LOG_FORMAT_JSON);
    cr_assert_eq(config->log_level, LOG_DEBUG);
    cr_assert_eq(config->shutdown_timeout_us, 0);
    const struct broker_config *const broker = &config->brokers[0];
    cr_assert_eq(broker->endpoint->amqp.host_count, 2);
    expect_secret(broker->password.file, "pass of the broker");
    cr_assert_eq(broker->heartbeat_s, 10);
    cr_assert_eq(broker->reconnect_max_us, 100000);
    const struct source_config *const source = &config->sources[0];
    cr_assert_eq(source->mode, SOURCE_MODE_TAIL);
    cr_assert_str_eq(source->slot, "relay_1");
    cr_assert(source->tableless);
    cr_assert(source->tableless_old_prefix);
    cr_assert_str_eq(source->publication, "Änderungen");
    cr_assert_eq(source->wal_retain_max, UINT64_C(1) << 30);
    cr_assert_eq(source->heartbeat_interval_us, 10000000);
    expect_secret(source->password.file, "pass of the database");
    cr_assert_str_eq(source->exchange, "orders");
    cr_assert_eq(source->publishers, 4);
    cr_assert_eq(source->batch_bytes, 65536);
    cr_assert_eq(source->window_messages, 2);
    cr_assert_eq(source->window_bytes, 1073741824);
    cr_assert_eq(source->poll_interval_max_us, 250000);
    cr_assert_eq(source->sweep_interval_us, 300000000);
    cr_assert_eq(source->retry_max_us, 86400000000);
    cr_assert_eq(source->held_max, 7);
    config_free(config);
}

/* How a kind may be called; test_config_kinds.c checks the words. */
static const char *
kind_words(void)
{
    static char words[200];
    config_value_range(database_kinds, config_key_find(CONFIG_SOURCE, "kind"), words,
                       sizeof(words));
    return words;
}

Test(config, all_at_once_in_the_order_of_the_lines)
{
    char expected[2000];
    (void)snprintf(
        expected, sizeof(expected), /* fits */
        "relay.conf:4: unknown key \"log_formt\"; did you mean \"log_format\"?\n"
        "relay.conf:5: shutdown_timeout = 30: expected 0 to 1h, with a unit: us, ms, s, m, "
        "h or d\n"
        "relay.conf:7: broker \"main\": uri: broker URI: a port must be a number from 1 to "
        "65535\n"
        "relay.conf:8: broker \"main\": unknown key \"exchange\"; it belongs in a source "
        "section\n"
        "relay.conf:10: source \"orders\": dsn is missing\n"
        "relay.conf:11: source \"orders\": kind = fruit: expected %s\n"
        "relay.conf:12: source \"orders\": there is no broker \"man\"; did you mean "
        "\"main\"?\n"
        "relay.conf:13: source \"orders\": unknown key \"exchage\"; did you mean "
        "\"exchange\"?\n"
        "relay.conf:14: source \"orders\": batch_rows = 0: expected 1 to 10000\n",
        kind_words());
    conf_expect_problems("# first line\n"
                         "/* second\n"
                         "   third */\n"
                         "log_formt = json\n"
                         "shutdown_timeout = 30\n"
                         "broker \"main\" {\n"
                         "    uri = \"amqp://guest:hunter2@127.0.0.1:99999/\"\n"
                         "    exchange = \"x\"\n"
                         "}\n"
                         "source \"orders\" {\n"
                         "    kind = fruit\n"
                         "    broker = \"man\"\n"
                         "    exchage = \"orders\"\n"
                         "    batch_rows = 0\n"
                         "}\n",
                         expected);
}

Test(config, unknown_names)
{
    expect_more_problems("colour = red\n", "relay.conf:3: unknown key \"colour\"\n");
    expect_more_problems("dsn = x\n",
                         "relay.conf:3: unknown key \"dsn\"; it belongs in a source section\n");
    expect_more_problems("sorce \"b\" { dsn = { a } b { c = d } }\nlog_levl = info\n",
                         "relay.conf:3: unknown section \"sorce\"; did you mean \"source\"?\n"
                         "relay.conf:4: unknown key \"log_levl\"; did you mean \"log_level\"?\n");
    expect_more_problems("shelf { }\n", "relay.conf:3: unknown section \"shelf\"\n");
    expect_more_problems("quue { }\n",
                         "relay.conf:3: unknown section \"quue\"; did you mean \"queue\"?\n");
    expect_more_problems("routing_key = x\n",
                         "relay.conf:3: unknown key \"routing_key\"; it belongs in a binding "
                         "section\n");
    conf_expect_problems(
        BROKER "source \"a\" { kind = postgres dsn = \"dbname=a\" broker = main\n"
               "  log_level = info }\n",
        "relay.conf:3: source \"a\": unknown key \"log_level\"; it belongs outside of the "
        "sections\n");
}

Test(config, values_that_do_not_fit)
{
    static const struct {
        const char *line;
        const char *problem;
    } cases[] = {
        {"batch_rows = many", "batch_rows = many: expected 1 to 10000"},
        {"batch_rows = -1", "batch_rows = -1: expected 1 to 10000"},
        {"batch_rows = \"\"", "batch_rows = \"\": expected 1 to 10000"},
        {"batch_rows = 10001", "batch_rows = 10001: expected 1 to 10000"},
        {"publishers = 5", "publishers = 5: expected 1 to 4"},
        {"window_bytes = 2GiB", "window_bytes = 2GiB: expected 1MiB to 1GiB"},
        {"window_bytes = 64MB", "window_bytes = 64MB: expected 1MiB to 1GiB"},
        {"takeover = 1s", "takeover = 1s: expected 2s to 10m"},
        {"takeover = 15", "takeover = 15: expected 2s to 10m, with a unit: us, ms, s, m, h or d"},
        {"mode = push", "mode = push: expected \"poll\", \"tail\" or \"auto\""},
        {"tableless = yes", "tableless = yes: expected \"false\" or \"true\""},
        {"tableless_old_prefix = true", "tableless_old_prefix = true needs tableless = true"},
        {"tableless = true",
         "tableless = true needs mode = \"tail\": what is in the log alone is not "
         "found by polling"},
        {"mode = poll tableless = true", "tableless = true needs mode = \"tail\": what is in the "
                                         "log alone is not found by polling"},
        {"slot = Relay", "slot = Relay: expected 1 to 63 characters of a to z, 0 to 9 and _"},
        {"publication = \"\"", "publication = \"\": expected 1 to 63 bytes"},
        {"exchange = a exchange = b", "exchange is given twice, first in line 2"},
        {"retry_initial = 1m retry_max = 1s", "retry_initial = 1m is longer than retry_max = 1s"},
        {"retry_max = 500ms", "retry_initial = 1s is longer than retry_max = 500ms"},
        {"batch_rows = \"1\n2\"", "batch_rows = 1?2: expected 1 to 10000"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[500];
        char expected[500];
        const unsigned line = strchr(cases[i].line, '\n') == NULL ? 2 : 3;
        (void)snprintf(text, sizeof(text),
                       BROKER
                       "source \"a\" { kind = postgres dsn = \"dbname=a\" broker = main %s }\n",
                       cases[i].line); /* fits */
        (void)snprintf(expected, sizeof(expected), "relay.conf:%u: source \"a\": %s\n", line,
                       cases[i].problem); /* fits */
        conf_expect_problems(text, expected);
    }
    expect_more_problems("log_level = loud\n",
                         "relay.conf:3: log_level = loud: expected \"error\", "
                         "\"warning\", \"info\" or \"debug\"\n");
    conf_expect_problems(
        "broker b { uri = \"amqp://h\" heartbeat = 1500ms }\n"
        "source a { kind = postgres dsn = \"dbname=a\" broker = b }\n",
        "relay.conf:1: broker \"b\": heartbeat = 1500ms: expected whole seconds, 1s to "
        "10m\n");
}

Test(config, sections_that_clash)
{
    conf_expect_problems(
        BROKER BROKER SOURCE,
        "relay.conf:2: broker \"main\": there is one of this name in line 1 already\n");
    expect_more_problems(
        "source \"orders\" { kind = postgres dsn = \"dbname=b\" broker = main batch_rows = x }\n",
        "relay.conf:3: source \"orders\": there is one of this name in line 2 already\n"
        "relay.conf:3: source \"orders\": batch_rows = x: expected 1 to 10000\n");
    expect_more_problems(
        "source \"b\" { kind = postgres dsn = \"user=other dbname=shop\" broker = main }\n",
        "relay.conf:3: source \"b\": dsn leads to the same outbox as that of source \"orders\" in "
        "line 2\n");
}

/* Of each server the first four; those with another mode do not count. */
Test(config, many_sources_of_a_server_do_not_all_tail_by_themselves)
{
    char text[3000] = BROKER;
    for (int i = 0; i < 12; i++) {
        const size_t length = strlen(text);
        (void)snprintf(
            text + length, sizeof(text) - length,
            "source s%d { kind = %s dsn = \"host=h%d dbname=d%d\" broker = main mode = %s }\n", i,
            i % 3 == 2 ? "mysql" : "postgres", i == 9, i,
            i == 0   ? "tail"
            : i == 1 ? "poll"
                     : "auto"); /* fits */
    }
    struct config *const config = conf_load_good(text);
    for (size_t i = 0; i < 12; i++) { /* postgres: 3 4 6 7, then 9 elsewhere, and 10 */
        cr_assert_eq(config->sources[i].crowded, i == 10, "source %zu", i);
    }
    config_free(config);
}

Test(config, one_database_may_have_two_outboxes_in_two_schemas)
{
    config_free(conf_load_good(BROKER SOURCE
                               "source \"b\" { kind = postgres broker = main\n"
                               "  dsn = \"dbname=shop options='-c search_path=other'\" }\n"));
}

Test(config, what_is_missing)
{
    conf_expect_problems("", "relay.conf: there is no source section\n"
                             "relay.conf: there is no broker section\n");
    conf_expect_problems(BROKER "source \"a\" { }\n",
                         "relay.conf:2: source \"a\": kind is missing\n"
                         "relay.conf:2: source \"a\": dsn is missing\n"
                         "relay.conf:2: source \"a\": broker is missing\n");
    conf_expect_problems("broker \"main\" { }\n" SOURCE,
                         "relay.conf:1: broker \"main\": uri is missing\n");
    expect_more_problems("source { dsn = x }\n",
                         "relay.conf:3: a source needs a name: source \"main\" { ... }\n");
    expect_more_problems(
        "broker \"a b\" { uri = \"amqp://h\" }\n",
        "relay.conf:3: the name of a broker is made of letters, digits, \"_\", \"-\" "
        "and \".\", at most 63 of them\n");
}

Test(config, structure_that_cannot_be_followed)
{
    static const struct {
        const char *text;
        const char *problems;
    } cases[] = {
        {"log_level info\n", "relay.conf:3: expected \"=\" after \"log_level\"\n"},
        {"log_level =\n", "relay.conf:3: \"log_level\" has no value\n"},
        {"log_level = }\n", "relay.conf:3: \"log_level\" has no value\n"},
        {"}\n", "relay.conf:3: there is no \"{\" for this \"}\"\n"},
        {"broker \"b\" {\n heartbeat = 0s\n",
         "relay.conf:3: broker \"b\" has no \"}\"\n"
         "relay.conf:4: broker \"b\": heartbeat = 0s: expected 1s to 10m\n"},
        {"broker \"b\" {\n uri = \"amqp://h\"\nsource \"c\" { }\n",
         "relay.conf:5: broker \"b\" has no \"}\" before this section\n"},
        {"broker \"b\" { uri = \"amqp://h }\n\n",
         "relay.conf:3: the string that begins here has no end\n"},
        {"broker \"b\" x\n", "relay.conf:3: expected \"{\" after the name of this broker\n"},
        {"/* no end\n", "relay.conf:3: this comment has no end\n"},
        {"log_level = info = x\n",
         "relay.conf:3: unexpected \"=\": a value with blanks or any of = { } "
         "( ) + , * # needs quotes\n"},
        {"log_level += info\n", "relay.conf:3: expected \"=\" after \"log_level\"\n"},
        {"include(\"x\")\n", "relay.conf:3: expected \"=\" after \"include\"\n"},
        {"load(\"x\")\n", "relay.conf:3: expected \"key = value\" or a section here\n"},
        {"log_level = \"a\\999\"\n",
         "relay.conf:3: a \"\\\" here begins nothing that has a meaning; for the character itself "
         "write \"\\\\\" or use single quotes\n"},
        {"broker \"b\" { uri = \"amqp://${HOST\" }\n",
         "relay.conf:3: \"${\" begins a variable that has no \"}\"; for the characters themselves "
         "write \"\\${\" or use single quotes\n"},
        {"shutdown_timeout = ${T}s\nlog_level\n",
         "relay.conf:3: expected \"key = value\" or a section here\n"},
        {"log_level = in${T}\n", "relay.conf:3: a value with ${...} and other text needs quotes\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(setenv("T", "1s", 1), 0);
        expect_more_problems(cases[i].text, cases[i].problems);
    }
}

Test(config, line_numbers_survive_comments_strings_and_continuations)
{
    conf_expect_problems(
        "// one\n/* two */ /* three\n*/ # four\n"
        "broker b { uri = \"amqp\\\n://h\" }\n"
        "source a { kind = postgres broker = b dsn = \"dbname=a\n\" exchange = 'a\nb'\n"
        "  batch_rows = 0 }\n",
        "relay.conf:9: source \"a\": batch_rows = 0: expected 1 to 10000\n");
}

Test(config, environment)
{
    cr_assert_eq(setenv("DB", "shop\" } {", 1), 0);
    cr_assert_eq(setenv("ROWS", "42", 1), 0);
    cr_assert_eq(setenv("EMPTY", "", 1), 0);
    struct config *const config = conf_load_good(
        BROKER "source \"a\" { kind = postgres broker = main\n"
               "  dsn = \"dbname='${DB}' user=${NOBODY:-relay}\" batch_rows = ${ROWS}\n"
               "  exchange = 'a${DB}' held_max = ${EMPTY:-7} publishers = \"${EMPTY}2\" }\n"
               "source \"b\" { kind = postgres broker = main dsn = \"dbname=b\"\n"
               "  exchange = \"\\${DB} ${EMPTY}\" }\n");
    cr_assert_str_eq(config->sources[0].dsn, "dbname='shop\" } {' user=relay");
    cr_assert_eq(config->sources[0].batch_rows, 42);
    cr_assert_str_eq(config->sources[0].exchange, "a${DB}", "single quotes keep it as it is");
    cr_assert_eq(config->sources[0].held_max, 7);
    cr_assert_eq(config->sources[0].publishers, 2);
    cr_assert_str_eq(config->sources[1].exchange, "${DB} ");
    config_free(config);
}

Test(config, environment_that_is_not_there)
{
    expect_more_problems("log_level = \"${NOT_SET}\"\nshutdown_timeout = ${NOR_THIS}\n",
                         "relay.conf:3: log_level: the environment variable NOT_SET is not set\n"
                         "relay.conf:4: shutdown_timeout: the environment variable NOR_THIS is not "
                         "set\n");
    expect_more_problems("log_level = \"${}\"\n",
                         "relay.conf:3: log_level: ${...} needs the name of an environment "
                         "variable\n");
}

Test(config, password_files_that_cannot_be_used)
{
    conf_write("empty", "\n", 0600);
    conf_write("secret", "x", 0600);
    conf_expect_problems(
        "broker a { uri = \"amqp://h\" password_file = missing }\n"
        "broker b { uri = \"amqp://h\" password_file = empty }\n"
        "broker c { uri = \"amqp://h\" password_file = \"/\" }\n" BROKER SOURCE,
        "relay.conf:1: broker \"a\": password_file = missing: cannot be opened: No such "
        "file or directory\n"
        "relay.conf:2: broker \"b\": password_file = empty: the file is empty\n"
        "relay.conf:3: broker \"c\": password_file = /: this is no regular file\n");
}

Test(config, password_commands)
{
    conf_write("secret", "x", 0600);
    struct config *const config = conf_load_good(
        "broker main { uri = \"amqp://h\" password_command = 'vault read \"a b\" | jq .x' }\n"
        "source s { kind = postgres broker = main dsn = \"dbname=d\"\n"
        "  password_command = token password_command_timeout = 250ms }\n");
    cr_assert_str_eq(config->brokers[0].password.command, "vault read \"a b\" | jq .x");
    cr_assert_eq(config->brokers[0].password.timeout_us, 10000000);
    cr_assert_str_eq(config->sources[0].password.command, "token");
    cr_assert_eq(config->sources[0].password.timeout_us, 250000);
    config_free(config);
    conf_expect_problems(
        "broker a { uri = \"amqp://h\" password_file = secret\n"
        "  password_command = \"echo hunter2\" }\n"
        "broker b { uri = \"amqp://h\" password_command = \" \" }\n"
        "broker c { uri = \"amqp://h\" password_command_timeout = 1m }\n" BROKER
        "source s { kind = postgres broker = main dsn = \"dbname=d\"\n"
        "  password_command = \"echo hunter2\"\n"
        "  password_file = secret }\n",
        "relay.conf:2: broker \"a\": password_command and password_file are both given: leave one "
        "out\n"
        "relay.conf:3: broker \"b\": password_command: there is no command in it\n"
        "relay.conf:4: broker \"c\": password_command_timeout = 1m: expected 100ms to 20s\n"
        "relay.conf:7: source \"s\": password_command and password_file are both given: leave one "
        "out\n");
}

Test(config, warnings)
{
    conf_write("secret", "x", 0644);
    struct config *const config = conf_load_good(
        "broker \"main\" { uri = \"amqps://h?verify=verify_none\" password_file = secret }\n"
        "broker \"spare\" { uri = \"amqp://h\" }\n" SOURCE);
    cr_assert_eq(config->warnings.count, 3);
    cr_assert_str_eq(config->warnings.texts[0],
                     "the password file ./secret may be read by everybody: chmod o-r it");
    cr_assert_str_eq(config->warnings.texts[1],
                     "broker \"main\": verify=verify_none: anybody on the way can pretend to be "
                     "the broker");
    cr_assert_str_eq(config->warnings.texts[2], "no source names the broker \"spare\"");
    config_free(config);
}

/* The first sentence of the advice, else of the warnings, for a configuration with these values; "" if there is
 * none. */
static const char *
advice_for(const char *uri, const char *dsn)
{
    static char text[600];
    char file[600];
    (void)snprintf(
        file, sizeof(file),
        "broker m { uri = \"%s\" }\nsource s { kind = postgres broker = m dsn = \"%s\" }", uri,
        dsn); /* fits */
    struct config *const config = conf_load_good(file);
    (void)snprintf(text, sizeof(text), "%s",
                   config->advice.count > 0     ? config->advice.texts[0]
                   : config->warnings.count > 0 ? config->warnings.texts[0]
                                                : ""); /* fits */
    config_free(config);
    return text;
}

Test(config, plain_text_that_leaves_the_machine)
{
    static const char *const local[] = {"localhost", "127.0.0.1", "127.8.9.1", "[::1]",
                                        "db.localhost"};
    static const char *const remote[] = {"rabbit", "10.0.0.1", "[2001:db8::1]", "localhost,rabbit",
                                         "localhost.example"};
    static const char wanted[] = "broker \"m\": no TLS to ";
    char uri[100];
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        (void)snprintf(uri, sizeof(uri), "amqp://%s/", local[i]); /* fits */
        cr_assert_str_eq(advice_for(uri, "host=/tmp"), "");
        (void)snprintf(uri, sizeof(uri), "amqp://%s/", remote[i]); /* fits */
        cr_assert_eq(strncmp(advice_for(uri, "host=/tmp"), wanted, strlen(wanted)), 0, "%s", uri);
        (void)snprintf(uri, sizeof(uri), "amqps://%s/", remote[i]); /* fits */
        cr_assert_str_eq(advice_for(uri, "host=/tmp"), "");
    }
}

Test(config, databases_that_are_not_verified)
{
    static const struct {
        const char *dsn;
        const char *words; /* "": none */
    } cases[] = {
        {"dbname=x", ""},
        {"host=localhost", ""},
        {"host=db hostaddr=127.0.0.1", ""},
        {"service=x", ""},
        {"host=db sslmode=verify-full sslrootcert=ca.pem", ""},
        {"host=db sslmode=verify-ca sslrootcert=ca.pem", ""},
        {"host=db sslmode=require sslrootcert=ca.pem", ""},
        {"host=db", "sslmode=prefer (libpq's default) to db, which is not this machine"},
        {"host=/tmp,db sslmode=disable", "sslmode=disable to db, which is not this machine"},
        {"postgresql://10.1.2.3/x", "to 10.1.2.3, which is not this machine"},
        {"host=db sslmode=require", "sslmode=require verifies nobody"},
        {"host=db sslrootcert=ca.pem", "sslrootcert with sslmode=prefer (which nobody set)"},
        {"sslrootcert=ca.pem sslmode=allow", "sslrootcert with sslmode=allow: when"},
    };
    cr_assert_eq(unsetenv("PGSSLMODE") + unsetenv("PGHOST") + unsetenv("PGSSLROOTCERT"), 0);
    cr_assert_eq(system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                        "-subj /CN=x -keyout ca.key -out ca.pem 2>/dev/null"),
                 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const advice = advice_for("amqp://localhost", cases[i].dsn);
        cr_assert_not_null(strstr(advice, cases[i].words), "%s: %s", cases[i].dsn, advice);
        cr_assert(cases[i].words[0] != '\0' || advice[0] == '\0', "%s: %s", cases[i].dsn, advice);
    }
    cr_assert_eq(setenv("PGSSLMODE", "verify-full", 1), 0);
    cr_assert_str_eq(advice_for("amqp://localhost", "host=db sslrootcert=ca.pem"), "");
}

Test(config, secrets_that_others_can_read)
{
    static const char text[] =
        "broker m { uri = 'amqp://u:p@localhost' }\n"
        "source s { kind = postgres broker = m dsn = \"password=${PW:-x}\" }\n";
    struct config *config = conf_load_good(text);
    cr_assert_eq(config->warnings.count, 0);
    config_free(config);
    conf_write("relay.conf", text, 0644);
    config = conf_load_file("relay.conf");
    cr_assert_eq(config->warnings.count, 1, "the environment's password is not in the file");
    cr_assert_str_eq(
        config->warnings.texts[0],
        "the uri of \"m\" has a password in it, and relay.conf may be read by everybody: "
        "chmod o-r it, or put the password into a password_file");
    config_free(config);
    cr_assert_eq(system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                        "-subj /CN=x -keyout k.pem -out c.pem 2>/dev/null && chmod 644 k.pem"),
                 0);
    cr_assert_str_eq(advice_for("amqps://localhost/?certfile=c.pem&keyfile=k.pem", "dbname=x"),
                     "the key file ./k.pem may be read by everybody: chmod o-r it");
    cr_assert_eq(chmod("k.pem", 0600), 0);
    cr_assert_not_null(strstr(advice_for("amqps://u@localhost/?certfile=c.pem&keyfile=k.pem&"
                                         "auth_mechanism=external",
                                         "dbname=x"),
                              "\"u\" of the uri counts for nothing"));
}

Test(config, byte_order_mark_is_no_word)
{
    config_free(conf_load_good("\xef\xbb\xbf" BROKER SOURCE));
    config_free(conf_load_good("\xef\xbb\xbf\n# comment\n" BROKER SOURCE));
}

Test(config, files_that_are_none)
{
    cr_assert_null(conf_load_file("missing.conf"));
    cr_assert_str_eq(conf_problems, "missing.conf: cannot be opened: No such file or directory\n");
    cr_assert_null(conf_load_file("/"));
    cr_assert_str_eq(conf_problems, "/: cannot be read: Is a directory\n");
}

/* Wherever a password is written, it is not shown. */
Test(config, secrets_are_never_shown)
{
    static const char *const texts[] = {
        "uri = \"amqp://u:hunter2@h:bad/\"",
        "uri = \"amqp://u:hunter2@\"",
        "uri = \"http://u:hunter2@h\"",
        "uri \"amqp://u:hunter2@h\"",
        "uri = \"amqp://h\" \"amqp://u:hunter2@h\"",
        "uri = \"amqp://u:hunter2@h\\999\"",
        "uri = \"amqp://u:hunter2@h",
        "uri = amqp://u:hunter2@h,h2",
        "uri = \"amqp://h\" hunter2 = \"\" x",
        "hunter2",
        "\"amqp://u:hunter2@h\" = 1",
        "dsn = \"host=x password=hunter2 foo\"",
        "dsn = host=x password=hunter2",
        "dsn = \"passwrd=hunter2\"",
        "dsn = \"postgresql://u:hunter2@h:x/\"",
        "dsn = \"password = a hunter2\"",
        "dsn = \"postgresql://u:a/hunter2@h/d\"",
        "dsn = \"postgresql://u:a@hunter2@h/d\"",
        "dsn = \"postgresql://u:hunter2/a@h/d\"",
        "dsn = \"postgresql://u:a@hunter2/a@h/d\"",
        "dsn = \"postgresql://u:1/a?hunter2@h/d\"",
        "dsn = \"postgresql://u:1/a?b=hunter2@h/d\"",
        "dsn = \"postgresql://u:100%hunter2@h/d\"",
        "dsn = \"dbname=d sslmode=hunter2\"",
        "dsn = \"dbname=d port=hunter2\"",
        "dsn = \"Postgresql://u:hunter2@h/d\"",
        "password_file = x hunter2",
        "uri = \"amqp://${hunter2 }@h\"",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[300];
        for (int source = 0; source < 2; source++) {
            (void)snprintf(text, sizeof(text), "%s \"s\" { %s }\n",
                           source != 0 ? "source" : "broker", texts[i]); /* fits */
            cr_assert_null(conf_load("relay.conf", text));
            cr_assert_neq(conf_problems[0], '\0');
            if (strcmp(texts[i], "uri = \"amqp://h\" hunter2 = \"\" x") != 0) {
                cr_assert_null(strstr(conf_problems, "hunter2"), "of: %s\nshown: %s", text,
                               conf_problems);
            }
        }
    }
}

Test(config, encryption_that_the_relay_has_not_is_refused)
{
    conf_expect_problems(
        BROKER "source a { kind = postgres broker = main\n"
               "  dsn = \"dbname=a gssencmode=require\" }\n",
        "relay.conf:3: source \"a\": dsn: gssencmode=require: the relay uses no "
        "encryption by GSSAPI; use TLS (sslmode), logging in by GSSAPI works with it\n");
}

Test(config, what_is_declared)
{
    struct config *const config = conf_load_good(
        "queue \"ship\" { dead_letter_queue = \"ship.dead\" single_active_consumer = true }\n"
        "queue q2 { name = \"any thing: at all\" type = classic\n"
        "  dead_letter_exchange = dlx }\n"
        "exchange orders { type = direct }\n"
        "binding { exchange = orders queue = ship routing_key = paid }\n"
        "binding { exchange = orders queue = ship\n"
        "  routing_key = sent }\n" BROKER SOURCE);
    const struct broker_config *const broker = &config->brokers[0];
    cr_assert_eq(config->queue_count, 2);
    const struct queue_config *queue = &config->queues[0];
    cr_assert_str_eq(queue->name, "ship");
    cr_assert_eq(queue->broker, broker);
    cr_assert_eq(queue->type, QUEUE_QUORUM);
    cr_assert(queue->single_active_consumer);
    cr_assert_str_eq(queue->dead_letter_exchange, "");
    cr_assert_str_eq(queue->dead_letter_routing_key, "ship.dead");
    cr_assert_eq(queue->delivery_limit, 20);
    queue = &config->queues[1];
    cr_assert_str_eq(queue->name, "any thing: at all");
    cr_assert_eq(queue->type, QUEUE_CLASSIC);
    cr_assert_str_eq(queue->dead_letter_exchange, "dlx");
    cr_assert_null(queue->dead_letter_routing_key);
    cr_assert_eq(config->exchange_count, 1);
    cr_assert_str_eq(config->exchanges[0].name, "orders");
    cr_assert_eq(config->exchanges[0].type, EXCHANGE_DIRECT);
    cr_assert_eq(config->binding_count, 2);
    cr_assert_str_eq(config->bindings[0].routing_key, "paid");
    cr_assert_str_eq(config->bindings[1].routing_key, "sent");
    cr_assert_eq(config->bindings[1].broker, broker);
    config_free(config);
}

Test(config, what_cannot_be_declared)
{
    expect_more_problems(
        "queue a { delivery_limit = 3 }\n"
        "queue b { type = classic delivery_limit = 3 dead_letter_queue = c }\n"
        "queue c { dead_letter_queue = c }\n"
        "queue d { dead_letter_queue = c dead_letter_exchange = e }\n"
        "queue e { dead_letter_routing_key = c }\n"
        "queue f { name = \"amq.f\" }\n"
        "queue g { name = a }\n"
        "exchange \"amq.topic\" { }\n"
        "exchange direct { type = direct }\n"
        "binding { queue = a }\n"
        "binding { exchange = direct queue = a }\n"
        "binding { exchange = \"\" queue = \"\" }\n"
        "exchange x { type = \"x-delayed-message\" }\n",
        "relay.conf:3: queue \"a\": delivery_limit needs a dead_letter_queue or a "
        "dead_letter_exchange: without one the broker discards messages that reach the limit\n"
        "relay.conf:4: queue \"b\": delivery_limit is for quorum queues only: a classic queue does "
        "not count\n"
        "relay.conf:5: queue \"c\": dead_letter_queue is the queue itself: its dead letters need "
        "another\n"
        "relay.conf:6: queue \"d\": dead_letter_queue stands for dead_letter_exchange and "
        "dead_letter_routing_key: give it alone, or these\n"
        "relay.conf:7: queue \"e\": dead_letter_routing_key needs a dead_letter_exchange\n"
        "relay.conf:8: queue \"f\": the empty name and names that begin with \"amq.\" are the "
        "broker's own\n"
        "relay.conf:9: queue \"g\": \"a\" is declared in line 3 already\n"
        "relay.conf:10: exchange \"amq.topic\": the empty name and names that begin with \"amq.\" "
        "are the broker's own\n"
        "relay.conf:12: binding: exchange is missing\n"
        "relay.conf:13: binding: routing_key is missing: exchange \"direct\" is a direct one\n"
        "relay.conf:14: binding: every queue is bound to AMQP's default exchange already, by its "
        "name\n"
        "relay.conf:14: binding: a queue has a name\n"
        "relay.conf:15: exchange \"x\": type = x-delayed-message: expected \"direct\", \"fanout\" "
        "or "
        "\"topic\"\n");
}

Test(config, shape_of_what_is_declared)
{
    expect_more_problems("queue { }\n",
                         "relay.conf:3: a queue needs a name: queue \"main\" { ... }\n");
    expect_more_problems("exchange { }\n",
                         "relay.conf:3: an exchange needs a name: exchange \"main\" { ... }\n");
    expect_more_problems("binding \"b\" { }\n",
                         "relay.conf:3: a binding has no name: binding { ... }\n");
    expect_more_problems("binding { exchange = a queue = b } binding { exchange = a queue = c }\n",
                         "relay.conf:3: a binding begins in a line of its own, not in that of "
                         "another\n");
    expect_more_problems("binding { exchange = a queue = b\n",
                         "relay.conf:3: binding has no \"}\"\n");
    expect_more_problems("binding { exchange = a\nsource c { }\n",
                         "relay.conf:4: binding has no \"}\" before this section\n");
}

Test(config, what_is_declared_belongs_to_a_broker)
{
    expect_more_problems(
        "broker b2 { uri = \"amqp://h\" }\n"
        "source s2 { kind = postgres dsn = \"dbname=b\" broker = b2 }\n"
        "queue a { broker = b2 }\n"
        "queue b { name = a broker = main }\n"
        "queue c { broker = b3 }\n"
        "queue d { }\n",
        "relay.conf:7: queue \"c\": there is no broker \"b3\"; did you mean \"b2\"?\n"
        "relay.conf:8: queue \"d\": broker is missing: there are several, and it "
        "belongs to one\n");
}
