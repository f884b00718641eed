/* A configuration of several files: which are read, in which order, and that each problem names its file and line. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/config/config.h"
#include "relay/kinds/kinds.h"
#include "relay/rabbit/kind.h"

#define MAIN "include = conf.d\nbroker \"main\" { uri = \"amqp://relay@rabbit/\" }\n"
#define SOURCE(name) "source " name " { kind = postgres dsn = \"dbname=" name "\" broker = main }\n"

static char directory[] = "/tmp/test_config_include.XXXXXX";
static char problems[8000];

static void
enter_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
    cr_assert_eq(mkdir("conf.d", 0700), 0);
}

static void
leave_directory(void)
{
    cr_assert_eq(chdir("/"), 0);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -r %s", directory); /* fits */
    cr_assert_eq(system(command), 0);
}

TestSuite(config_include, .init = enter_directory, .fini = leave_directory);

static void
write_file(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(close(fd), 0);
}

static void
collect(void *context, const char *problem)
{
    char *const all = context;
    const size_t length = strlen(all);
    (void)snprintf(all + length, sizeof(problems) - length, "%s\n",
                   problem); /* compared as a whole */
}

static struct config *
load(const char *path, const char *text)
{
    write_file(path, text);
    problems[0] = '\0';
    return config_load(path, database_kinds, &broker_rabbit, collect, problems);
}

static struct config *
load_good(const char *text)
{
    struct config *const config = load("relay.conf", text);
    cr_assert_not_null(config, "%s", problems);
    cr_assert_str_empty(problems);
    return config;
}

static void
expect_problems(const char *text, const char *expected)
{
    cr_assert_null(load("relay.conf", text));
    cr_assert_str_eq(problems, expected, "expected:\n%s\ngot:\n%s", expected, problems);
}

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
    write_file("conf.d/b.conf", SOURCE("second"));
    write_file("conf.d/a.conf", SOURCE("first"));
    write_file("conf.d/C.conf",
               "broker \"other\" { uri = \"amqp://relay@other/\" }\n"
               "source upper { kind = mysql dsn = \"host=h dbname=u\" broker = other }\n");
    struct config *const config = load_good(MAIN SOURCE("own"));
    expect_sources(config, (const char *const[]){"own", "upper", "first", "second"}, 4);
    cr_assert_eq(config->broker_count, 2);
    cr_assert_eq(config->warnings.count, 0);
    config_free(config);
}

Test(config_include, other_names_are_left_alone)
{
    write_file("conf.d/a.conf", SOURCE("first"));
    write_file("conf.d/b.conf~", "nonsense {");
    write_file("conf.d/.hidden.conf", "nonsense {");
    write_file("conf.d/README", "nonsense {");
    write_file("conf.d/conf", "nonsense {");
    struct config *const config = load_good(MAIN);
    expect_sources(config, (const char *const[]){"first"}, 1);
    config_free(config);
}

/* A relay whose sources come later. */
Test(config_include, an_empty_directory_is_told_and_no_mistake)
{
    struct config *const config = load_good(MAIN);
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
    expect_problems(MAIN, "relay.conf:1: include = conf.d: the directory cannot be read: No such "
                          "file or directory\n");
    write_file("conf.d", "");
    expect_problems(MAIN SOURCE("own"),
                    "relay.conf:1: include = conf.d: the directory cannot be read: Not a "
                    "directory\n");
    cr_assert_eq(unlink("conf.d"), 0);
}

Test(config_include, problems_come_by_file_and_line)
{
    write_file("conf.d/a.conf",
               "source one {\n    kind = postgres dsn = \"dbname=one\" broker = mian\n"
               "    batch_rows = 0\n}\n");
    write_file("conf.d/b.conf", "\n" SOURCE("two") "source four {\n    kindd = 1\n");
    expect_problems("log_level = loud\n" MAIN,
                    "relay.conf:1: log_level = loud: expected \"error\", \"warning\", \"info\" or "
                    "\"debug\"\n"
                    "./conf.d/a.conf:3: source \"one\": batch_rows = 0: expected 1 to 10000\n"
                    "./conf.d/b.conf:3: source \"four\" has no \"}\"\n"
                    "./conf.d/b.conf:4: source \"four\": unknown key \"kindd\"; did you mean "
                    "\"kind\"?\n");
    write_file("conf.d/b.conf", SOURCE("two"));
    expect_problems(MAIN, "./conf.d/a.conf:2: source \"one\": there is no broker \"mian\"; did you "
                          "mean \"main\"?\n"
                          "./conf.d/a.conf:3: source \"one\": batch_rows = 0: expected 1 to "
                          "10000\n");
}

Test(config_include, sections_that_clash_name_the_other_file)
{
    write_file("conf.d/a.conf", "\n" SOURCE("one") "exchange \"e\" { }\n");
    write_file("conf.d/b.conf", SOURCE("one") "source two { kind = postgres dsn = \"dbname=own\" "
                                              "broker = main }\n"
                                              "exchange \"f\" { name = \"e\" }\n");
    expect_problems(MAIN SOURCE("own"),
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
    write_file("conf.d/a.conf", text);
    (void)snprintf(text, sizeof(text), binding, "q2"); /* fits */
    write_file("conf.d/b.conf", text);
    struct config *const config = load_good(MAIN SOURCE("own"));
    cr_assert_eq(config->binding_count, 2);
    cr_assert_str_eq(config->bindings[0].queue, "q1");
    cr_assert_str_eq(config->bindings[1].queue, "q2");
    config_free(config);
}

/* Two files could contradict each other; and a file that includes cannot include itself. */
Test(config_include, included_files_have_sections_alone)
{
    write_file("conf.d/a.conf",
               "include = \"../conf.d\"\nlog_level = debug\nlog_levle = debug\n" SOURCE("one"));
    expect_problems(MAIN, "./conf.d/a.conf:1: include belongs in relay.conf: a file that is "
                          "included has only sections\n"
                          "./conf.d/a.conf:2: log_level belongs in relay.conf: a file that is "
                          "included has only sections\n"
                          "./conf.d/a.conf:3: unknown key \"log_levle\"; did you mean "
                          "\"log_level\"?\n");
}

Test(config_include, a_file_does_not_include_itself)
{
    cr_assert_null(load(
        "relay.conf",
        "include = \".\"\n" SOURCE("one") "broker \"main\" { uri = \"amqp://relay@rabbit/\" }\n"));
    cr_assert_str_eq(problems, "relay.conf:1: include = .: ././relay.conf is this file itself; it "
                               "belongs beside the directory, not in it\n");
}

Test(config_include, files_that_are_none)
{
    cr_assert_eq(mkfifo("conf.d/a.conf", 0600), 0);
    cr_assert_eq(mkdir("conf.d/b.conf", 0700), 0);
    cr_assert_eq(symlink("nowhere", "conf.d/c.conf"), 0);
    expect_problems(MAIN SOURCE("own"),
                    "./conf.d/a.conf: is no regular file\n"
                    "./conf.d/b.conf: is no regular file\n"
                    "./conf.d/c.conf: cannot be opened: No such file or directory\n");
}

Test(config_include, relative_names_are_looked_for_beside_their_file)
{
    write_file("conf.d/secret", "hidden");
    write_file("conf.d/a.conf", "source one { kind = postgres dsn = \"dbname=one\" broker = main "
                                "password_file = secret }\n");
    struct config *const config = load_good(MAIN);
    cr_assert_str_eq(config->sources[0].password.file, "./conf.d/secret");
    config_free(config);
    write_file("other.conf", "");
    write_file("secret", "");
    expect_problems(MAIN "source two { kind = postgres dsn = \"dbname=two\" broker = main "
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
        write_file(path, text);
    }
    struct config *const config = load_good(MAIN);
    cr_assert_eq(config->source_count, 3000);
    cr_assert_str_eq(config->sources[2999].name, "s2999");
    config_free(config);
}
