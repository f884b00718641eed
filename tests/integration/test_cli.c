#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"

TestSuite(cli, .init = cli_enter, .fini = cli_leave);

static const char *
amqp_uri(void)
{
    const char *const uri = getenv("OUTBOX_TEST_AMQP_URI");
    cr_assert_not_null(uri, "OUTBOX_TEST_AMQP_URI is not set: this test needs a RabbitMQ server; "
                            "see tests/services");
    return uri;
}

static void
expect(const char *arguments, int status, const char *expected_stdout, const char *expected_stderr)
{
    const int got = cli(arguments);
    cr_expect_eq(got, status, "outbox-relay %s: exit status %d\n%s", arguments, got, cli_stderr());
    cr_expect_str_eq(cli_stdout(), expected_stdout, "outbox-relay %s:\n%s", arguments,
                     cli_stdout());
    cr_expect_str_eq(cli_stderr(), expected_stderr, "outbox-relay %s:\n%s", arguments,
                     cli_stderr());
}

Test(cli, help_and_version)
{
    cr_assert_eq(cli("--help"), 0);
    cr_assert_not_null(strstr(cli_stdout(), "  check    try the configuration"));
    cr_assert_null(strstr(cli_stdout(), "config-reference"), "it is for maintainers");
    cr_assert_str_empty(cli_stderr());
    expect("--version", 0, "outbox-relay " OUTBOX_RELAY_VERSION "\n", "");
    static const char *const commands[] = {"check", "config-reference", "init", "run"};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char arguments[64];
        char first[64];
        (void)snprintf(arguments, sizeof(arguments), "%s --help", commands[i]);      /* fits */
        (void)snprintf(first, sizeof(first), "usage: outbox-relay %s", commands[i]); /* fits */
        cr_assert_eq(cli(arguments), 0);
        cr_assert_eq(strncmp(cli_stdout(), first, strlen(first)), 0, "%s", cli_stdout());
    }
}

Test(cli, wrong_usage)
{
    static const struct {
        const char *arguments;
        const char *said;
    } cases[] = {
        {"", "outbox-relay: which command?\nTry \"outbox-relay --help\".\n"},
        {"rnu", "outbox-relay: unknown command \"rnu\"; did you mean \"run\"?\n"
                "Try \"outbox-relay --help\".\n"},
        {"destroy", "outbox-relay: unknown command \"destroy\"\nTry \"outbox-relay --help\".\n"},
        {"--hlep", "outbox-relay: unknown option \"--hlep\"; did you mean \"--help\"?\n"
                   "Try \"outbox-relay --help\".\n"},
        {"run", "outbox-relay run: which configuration? Name it by -c FILE\n"
                "Try \"outbox-relay run --help\".\n"},
        {"check -c", "outbox-relay check: -c needs a value\nTry \"outbox-relay check --help\".\n"},
        {"run --confg x",
         "outbox-relay run: unknown option \"--confg\"; did you mean \"--config\"?\n"
         "Try \"outbox-relay run --help\".\n"},
        {"run -x", "outbox-relay run: unknown option \"-x\"\nTry \"outbox-relay run --help\".\n"},
        {"run -c x y", "outbox-relay run: \"y\" is one word too many\n"
                       "Try \"outbox-relay run --help\".\n"},
        {"init --print --kind fruit", "outbox-relay init: there is no kind of database \"fruit\"\n"
                                      "Try \"outbox-relay init --help\".\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(cases[i].arguments, 64, "", cases[i].said);
    }
}

Test(cli, bad_configuration_stops_every_command)
{
    cli_write("relay.conf",
              "broker \"main\" { uri = \"amqp://relay@rabbit/\" }\n"
              "source \"orders\" { kind = %s dsn = \"host=h.invalid user=shop dbname=shop\"\n"
              "  broker = \"mian\" exchage = \"orders\" }\n",
              db_kind());
    static const char problems[] =
        "relay.conf:3: source \"orders\": unknown key \"exchage\"; did you mean \"exchange\"?\n"
        "relay.conf:3: source \"orders\": there is no broker \"mian\"; did you mean \"main\"?\n";
    expect("run -c relay.conf", 78, "", problems);
    expect("run --check-config -c relay.conf", 78, "", problems);
    expect("check -c relay.conf", 78, "", problems);
    expect("init --config relay.conf", 78, "", problems);
    expect("run -c none.conf", 78, "", "none.conf: cannot be opened: No such file or directory\n");
}

Test(cli, check_config_connects_to_nothing)
{
    cli_write("secret", "x\n");
    cr_assert_eq(system("chmod 644 secret"), 0);
    cli_write("relay.conf",
              "broker b { uri = \"amqps://h.invalid\" password_file = secret }\n"
              "source s { kind = %s broker = b\n"
              "  dsn = \"host=h.invalid user=shop dbname=shop sslmode=verify-full sslrootcert=%s\" "
              "}\n",
              db_kind(), getenv("OUTBOX_TEST_AMQP_CA"));
    expect("run --check-config -c relay.conf", 0,
           "relay.conf: good\n"
           "warning: the password file ./secret may be read by everybody: chmod o-r it\n",
           "");
}

Test(cli, the_example_is_good)
{
    cli_write("broker.password", "x\n");
    cli_write("orders.password", "x\n");
    cr_assert_eq(system("chmod 600 *.password && cp " SOURCE_ROOT
                        "/relay/outbox-relay.conf.example outbox-relay.conf"),
                 0);
    expect("run --check-config -c outbox-relay.conf", 0, "outbox-relay.conf: good\n", "");
}

Test(cli, run_drains_on_a_signal)
{
    static const int signals[] = {SIGTERM, SIGINT};
    struct db *const db = db_create();
    db_load_outbox(db);
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n",
              amqp_uri(), db_kind(), db_dsn());
    for (size_t i = 0; i < 2; i++) {
        const pid_t relay = cli_start("run -c relay.conf");
        cli_wait_for_log("event=source_owned");
        cr_assert_eq(kill(relay, signals[i]), 0);
        cr_assert_eq(cli_wait(relay), 0);
        cli_wait_for_log("event=stopped msg=\"drained: nothing is in flight\"");
    }
    db_drop(db);
}

Test(cli, run_stays_through_outages_and_still_drains)
{
    cli_write("relay.conf",
              "log_format = json\n"
              "broker main { uri = \"amqp://u:hunter2@127.0.0.1:1/\" }\n"
              "source orders { kind = %s broker = main dsn = \"host=127.0.0.1 "
              "port=1 dbname=shop user=shop password=hunter2\" }\n",
              db_kind());
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("\"event\":\"started\"");
    cr_assert_eq(usleep(1500000), 0);
    cr_assert_eq(kill(relay, 0), 0, "it is gone");
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);
    cli_wait_for_log("\"event\":\"stopped\"");
    cr_assert_null(strstr(cli_stderr(), "hunter2"), "%s", cli_stderr());
}

/* Promise: if the output could not be written, the user is told, for every command. */
Test(cli, output_that_cannot_be_written_is_an_error)
{
    static const char *const commands[] = {"--help",
                                           "--version",
                                           "run --help",
                                           "held --help",
                                           "config-reference",
                                           "init --print",
                                           "run --check-config -c good.conf",
                                           "status --json -c good.conf",
                                           "held list -c good.conf",
                                           "held list --json -c good.conf"};
    static const char *const outputs[] = {">/dev/full", ">&-"};
    struct db *const db = db_create();
    db_load_outbox(db);
    cli_write("good.conf",
              "broker main { uri = \"amqp://localhost\" }\n"
              "source orders { kind = %s mode = poll broker = main dsn = \"%s\" }\n",
              db_kind(), db_dsn());
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        for (size_t j = 0; j < sizeof(outputs) / sizeof(outputs[0]); j++) {
            char line[500];
            (void)snprintf(line, sizeof(line),
                           "'%s' %s %s 2>err; test $? = 1 && grep -q 'could not be written' err",
                           OUTBOX_RELAY, commands[i], outputs[j]); /* fits */
            cr_expect_eq(system(line), 0, "%s %s", commands[i], outputs[j]);
        }
    }
    db_drop(db);
}
