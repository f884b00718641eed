/* A configuration of several files: which are read, in which order, and that each problem names its file and line. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/config/config.h"
#include "tests/unit/config_fixture.h"

#define MAIN "include = conf.d\nbroker \"main\" { uri = \"amqp://relay@rabbit/\" }\n"
#define SOURCE(name) "source " name " { kind = postgres dsn = \"dbname=" name "\" broker = main }\n"

static void
enter_directory(void)
{
    conf_enter();
    cr_assert_eq(mkdir("conf.d", 0700), 0);
}

TestSuite(config_include, .init = enter_directory, .fini = conf_leave);

static void
expect_sources(const struct config *config, const char *const *names, size_t count)
{
    cr_assert_eq(config->source_count, count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_str_eq(config->sources[i].name, names[i]);
    }
}

Test(config_include, files_come_in_the_order_of_their_names)
{
    conf_write("conf.d/b.conf", SOURCE("second"), 0600);
    conf_write("conf.d/a.conf", SOURCE("first"), 0600);
    conf_write("conf.d/C.conf",
               "broker \"other\" { uri = \"amqp://relay@other/\" }\n"
               "source upper { kind = mysql dsn = \"host=h dbname=u\" broker = other }\n",
               0600);
    struct config *const config = conf_load_good(MAIN SOURCE("own"));
    expect_sources(config, (const char *const[]){"own", "upper", "first", "second"}, 4);
    cr_assert_eq(config->broker_count, 2);
    cr_assert_eq(config->warnings.count, 0);
    config_free(config);
}

Test(config_include, other_names_are_left_alone)
{
    conf_write("conf.d/a.conf", SOURCE("first"), 0600);
    conf_write("conf.d/b.conf~", "nonsense {", 0600);
    conf_write("conf.d/.hidden.conf", "nonsense {", 0600);
    conf_write("conf.d/README", "nonsense {", 0600);
    conf_write("conf.d/conf", "nonsense {", 0600);
    struct config *const config = conf_load_good(MAIN);
    expect_sources(config, (const char *const[]){"first"}, 1);
    config_free(config);
}

/* A relay whose sources come later. */
Test(config_include, an_empty_directory_is_told_and_no_mistake)
{
    struct config *const config = conf_load_good(MAIN);
    cr_assert_eq(config->source_count, 0);
    cr_assert_eq(config->warnings.count, 3);
    cr_assert_str_eq(config->warnings.texts[0], "include: no file in ./conf.d ends in \".conf\"");
    cr_assert_str_eq(config->warnings.texts[1], "there is no source section: nothing is relayed");
    cr_assert_str_eq(config->warnings.texts[2], "no source names the broker \"main\"");
    config_free(config);
}

Test(config_include, a_directory_that_is_not_there_is_a_mistake)
{
    cr_assert_eq(rmdir("conf.d"), 0);
    conf_expect_problems(MAIN,
                         "relay.conf:1: include = conf.d: the directory cannot be read: No such "
                         "file or directory\n");
    conf_write("conf.d", "", 0600);
    conf_expect_problems(MAIN SOURCE("own"),
                         "relay.conf:1: include = conf.d: the directory cannot be read: Not a "
                         "directory\n");
    cr_assert_eq(unlink("conf.d"), 0);
}

Test(config_include, problems_come_by_file_and_line)
{
    conf_write("conf.d/a.conf",
               "source one {\n    kind = postgres dsn = \"dbname=one\" broker = mian\n"
               "    batch_rows = 0\n}\n",
               0600);
    conf_write("conf.d/b.conf", "\n" SOURCE("two") "source four {\n    kindd = 1\n", 0600);
    conf_expect_problems(
        "log_level = loud\n" MAIN,
        "relay.conf:1: log_level = loud: expected \"error\", \"warning\", \"info\" or "
        "\"debug\"\n"
        "./conf.d/a.conf:3: source \"one\": batch_rows = 0: expected 1 to 10000\n"
        "./conf.d/b.conf:3: source \"four\" has no \"}\"\n"
        "./conf.d/b.conf:4: source \"four\": unknown key \"kindd\"; did you mean "
        "\"kind\"?\n");
    conf_write("conf.d/b.conf", SOURCE("two"), 0600);
    conf_expect_problems(MAIN,
                         "./conf.d/a.conf:2: source \"one\": there is no broker \"mian\"; did you "
                         "mean \"main\"?\n"
                         "./conf.d/a.conf:3: source \"one\": batch_rows = 0: expected 1 to "
                         "10000\n");
}

Test(config_include, sections_that_clash_name_the_other_file)
{
    conf_write("conf.d/a.conf", "\n" SOURCE("one") "exchange \"e\" { }\n", 0600);
    conf_write("conf.d/b.conf",
               SOURCE("one") "source two { kind = postgres dsn = \"dbname=own\" "
                             "broker = main }\n"
                             "exchange \"f\" { name = \"e\" }\n",
               0600);
    conf_expect_problems(
        MAIN SOURCE("own"),
        "./conf.d/b.conf:1: source \"one\": there is one of this name in line 2 of "
        "./conf.d/a.conf already\n"
        "./conf.d/b.conf:1: source \"one\": dsn leads to the same outbox as that of "
        "source \"one\" in line 2 of ./conf.d/a.conf\n"
        "./conf.d/b.conf:2: source \"two\": dsn leads to the same outbox as that of "
        "source \"own\" in line 3 of relay.conf\n"
        "./conf.d/b.conf:3: exchange \"f\": \"e\" is declared in line 3 of "
        "./conf.d/a.conf already\n");
}

/* Values of sections without names, and of two of the same name, are told apart by their lines, which two files share. */
Test(config_include, equal_lines_of_two_files_are_not_mixed_up)
{
    static const char binding[] = "binding { exchange = e queue = %s }\n";
    char text[100];
    (void)snprintf(text, sizeof(text), binding, "q1"); /* fits */
    conf_write("conf.d/a.conf", text, 0600);
    (void)snprintf(text, sizeof(text), binding, "q2"); /* fits */
    conf_write("conf.d/b.conf", text, 0600);
    struct config *const config = conf_load_good(MAIN SOURCE("own"));
    cr_assert_eq(config->binding_count, 2);
    cr_assert_str_eq(config->bindings[0].queue, "q1");
    cr_assert_str_eq(config->bindings[1].queue, "q2");
    config_free(config);
}

/* Two files could contradict each other; and a file that includes cannot include itself. */
Test(config_include, included_files_have_sections_alone)
{
    conf_write("conf.d/a.conf",
               "include = \"../conf.d\"\nlog_level = debug\nlog_levle = debug\n" SOURCE("one"),
               0600);
    conf_expect_problems(MAIN, "./conf.d/a.conf:1: include belongs in relay.conf: a file that is "
                               "included has only sections\n"
                               "./conf.d/a.conf:2: log_level belongs in relay.conf: a file that is "
                               "included has only sections\n"
                               "./conf.d/a.conf:3: unknown key \"log_levle\"; did you mean "
                               "\"log_level\"?\n");
}

Test(config_include, a_file_does_not_include_itself)
{
    cr_assert_null(conf_load(
        "relay.conf",
        "include = \".\"\n" SOURCE("one") "broker \"main\" { uri = \"amqp://relay@rabbit/\" }\n"));
    cr_assert_str_eq(conf_problems,
                     "relay.conf:1: include = .: ././relay.conf is this file itself; it "
                     "belongs beside the directory, not in it\n");
}

Test(config_include, files_that_are_none)
{
    cr_assert_eq(mkfifo("conf.d/a.conf", 0600), 0);
    cr_assert_eq(mkdir("conf.d/b.conf", 0700), 0);
    cr_assert_eq(symlink("nowhere", "conf.d/c.conf"), 0);
    conf_expect_problems(MAIN SOURCE("own"),
                         "./conf.d/a.conf: is no regular file\n"
                         "./conf.d/b.conf: is no regular file\n"
                         "./conf.d/c.conf: cannot be opened: No such file or directory\n");
}

Test(config_include, relative_names_are_looked_for_beside_their_file)
{
    conf_write("conf.d/secret", "hidden", 0600);
    conf_write("conf.d/a.conf",
               "source one { kind = postgres dsn = \"dbname=one\" broker = main "
               "password_file = secret }\n",
               0600);
    struct config *const config = conf_load_good(MAIN);
    cr_assert_str_eq(config->sources[0].password.file, "./conf.d/secret");
    config_free(config);
    conf_write("other.conf", "", 0600);
    conf_write("secret", "", 0600);
    conf_expect_problems(
        MAIN "source two { kind = postgres dsn = \"dbname=two\" broker = main "
             "password_file = secret }\n",
        "relay.conf:3: source \"two\": password_file = secret: the file is empty\n");
}

/* Many sources: loading must not take time that grows with their square. 3,000 take 0.2 s, without sanitizers. */
Test(config_include, three_thousand_files, .timeout = 120)
{
    char path[64];
    char text[200];
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(path, sizeof(path), "conf.d/s%04d.conf", i); /* fits */
        (void)snprintf(text, sizeof(text),
                       "source s%04d { kind = postgres dsn = \"dbname=s%04d\" broker = main }\n", i,
                       i); /* fits */
        conf_write(path, text, 0600);
    }
    struct config *const config = conf_load_good(MAIN);
    cr_assert_eq(config->source_count, 3000);
    cr_assert_str_eq(config->sources[2999].name, "s2999");
    config_free(config);
}
