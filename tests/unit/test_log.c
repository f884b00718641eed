#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/daemon/log.h"

#define NOON_US UINT64_C(1767268800123456) /* 2026-01-01T12:00:00.123456Z */
#define LINE(...) line_of(LOG_FORMAT_LOGFMT, (const struct log_field[]){__VA_ARGS__, {0}})
#define JSON(...) line_of(LOG_FORMAT_JSON, (const struct log_field[]){__VA_ARGS__, {0}})

static char line[4000];

static const char *
line_of(enum log_format format, const struct log_field *fields)
{
    const size_t size =
        log_format_line(line, sizeof(line), format, false, NOON_US, LOG_INFO, "lane_open", fields);
    cr_assert_eq(size, strlen(line));
    return line;
}

Test(log, logfmt_line)
{
    cr_assert_str_eq(LINE(LOG_WORDS("publishing again"), LOG_STR("peer", "rabbit:5672"),
                          LOG_INT("attempt", -2), LOG_UINT("rows", UINT64_MAX),
                          LOG_BOOL("tls", true), LOG_MS("waited_ms", 1500)),
                     "ts=2026-01-01T12:00:00.123Z level=info event=lane_open "
                     "msg=\"publishing again\" peer=rabbit:5672 attempt=-2 "
                     "rows=18446744073709551615 tls=true waited_ms=1\n");
}

Test(log, json_line)
{
    cr_assert_str_eq(JSON(LOG_WORDS("publishing again"), LOG_STR("peer", "rabbit:5672"),
                          LOG_INT("attempt", -2), LOG_BOOL("tls", false)),
                     "{\"ts\":\"2026-01-01T12:00:00.123Z\",\"level\":\"info\","
                     "\"event\":\"lane_open\",\"msg\":\"publishing again\","
                     "\"peer\":\"rabbit:5672\",\"attempt\":-2,\"tls\":false}\n");
}

Test(log, journal_line_has_a_priority_and_no_time)
{
    const struct log_field fields[] = {LOG_STR("peer", "rabbit"), {0}};
    (void)log_format_line(line, sizeof(line), LOG_FORMAT_LOGFMT, true, NOON_US, LOG_ERROR, "lost",
                          fields); /* its length does not matter here */
    cr_assert_str_eq(line, "<3>level=error event=lost peer=rabbit\n");
    (void)log_format_line(line, sizeof(line), LOG_FORMAT_JSON, true, NOON_US, LOG_DEBUG, "lost",
                          fields); /* as above */
    cr_assert_str_eq(line, "<7>{\"level\":\"debug\",\"event\":\"lost\",\"peer\":\"rabbit\"}\n");
}

Test(log, source_of_the_thread)
{
    log_set_source("orders");
    cr_assert_str_eq(LINE(LOG_WORDS("open"), LOG_INT("n", 1)),
                     "ts=2026-01-01T12:00:00.123Z level=info event=lane_open msg=open "
                     "source=orders n=1\n");
    log_set_source(NULL);
    cr_assert_null(strstr(LINE(LOG_INT("n", 1)), "source"));
}

Test(log, quotes_and_escapes)
{
    static const struct {
        const char *value;
        const char *shown;
    } cases[] = {
        {"plain", "v=plain\n"},
        {"", "v=\"\"\n"},
        {"two words", "v=\"two words\"\n"},
        {"a=b", "v=\"a=b\"\n"},
        {"say \"hi\"", "v=\"say \\\"hi\\\"\"\n"},
        {"back\\slash", "v=\"back\\\\slash\"\n"},
        {"line\nfeed\r\ttab", "v=\"line\\nfeed\\r\\ttab\"\n"},
        {"\x1b[31mred", "v=\"\\u001b[31mred\"\n"},
        {"\x7f", "v=\"\\u007f\"\n"},
        {"caf\xc3\xa9", "v=\"caf\xc3\xa9\"\n"},
        {"\xc2\x9b", "v=\"\\u009b\"\n"}, /* a terminal's control sequence introducer */
        {"bad \xff byte", "v=\"bad \xef\xbf\xbd byte\"\n"},
        {"short \xe2\x82", "v=\"short \xef\xbf\xbd\xef\xbf\xbd\"\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        LINE(LOG_STR("v", cases[i].value));
        cr_assert_str_eq(strstr(line, "v="), cases[i].shown);
    }
}

Test(log, forged_line_stays_in_its_value)
{
    LINE(LOG_STR("v", "x\nlevel=error event=forged"));
    cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1, "one line only: %s", line);
}

Test(log, bytes_uuid_and_null)
{
    static const uint8_t uuid[UUID_BYTES] = {0x01, 0x90, 0x16, 0x3d, 0x86, 0x94, 0x73, 0x9b,
                                             0xae, 0xa5, 0x96, 0x6c, 0x26, 0xf8, 0xad, 0x91};
    cr_assert_str_eq(strstr(LINE(LOG_UUID("id", uuid), LOG_BYTES("b", "abcd", 2),
                                 LOG_STR("absent", NULL), LOG_INT("n", 1)),
                            "id="),
                     "id=0190163d-8694-739b-aea5-966c26f8ad91 b=ab n=1\n");
}

Test(log, long_line_is_cut_and_says_so)
{
    char longer[8000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    longer[5] = ' ';
    static const char logfmt_end[] = "xxx\" cut=true\n";
    static const char json_end[] = "xxx\",\"cut\":true}\n";
    LINE(LOG_STR("v", longer), LOG_INT("after", 1));
    cr_assert_str_eq(line + strlen(line) - strlen(logfmt_end), logfmt_end);
    cr_assert_null(strstr(line, "after"));
    JSON(LOG_STR("v", longer), LOG_INT("after", 1));
    cr_assert_str_eq(line + strlen(line) - strlen(json_end), json_end);
}

Test(log, every_short_buffer_ends_properly)
{
    const struct log_field fields[] = {LOG_WORDS("some words"), LOG_STR("peer", "a\nb\nc\nd"), {0}};
    char small[200];
    for (size_t size = 64; size < sizeof(small); size++) {
        const size_t length = log_format_line(small, size, LOG_FORMAT_JSON, false, NOON_US,
                                              LOG_INFO, "lane_open", fields);
        cr_assert_lt(length, size);
        cr_assert_eq(small[length - 1], '\n');
        cr_assert_eq(small[length - 2], '}');
    }
}

/* Returns what `act` writes to stderr. */
static const char *
stderr_of(void (*act)(void))
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    const int kept = dup(STDERR_FILENO);
    cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
    act();
    cr_assert_geq(dup2(kept, STDERR_FILENO), 0);
    cr_assert_eq(close(ends[1]) + close(kept), 0);
    size_t size = 0;
    for (ssize_t got = 1; got > 0; size += (size_t)got) {
        got = read(ends[0], line + size, sizeof(line) - 1 - size);
        cr_assert_geq(got, 0);
    }
    cr_assert_eq(close(ends[0]), 0);
    line[size] = '\0';
    return line;
}

static int evaluated;

static int64_t
count_evaluation(void)
{
    return ++evaluated;
}

static void
log_at_every_level(void)
{
    log_setup(LOG_FORMAT_JSON, LOG_WARNING);
    errno = ENOENT;
    log_error("one", LOG_INT("n", count_evaluation()));
    log_warning("two", LOG_INT("n", count_evaluation()));
    log_info("three", LOG_INT("n", count_evaluation()));
    log_debug("four", LOG_INT("n", count_evaluation()));
}

Test(log, level_decides_and_errno_is_kept)
{
    const char *const text = stderr_of(log_at_every_level);
    cr_assert_eq(errno, ENOENT);
    cr_assert_eq(evaluated, 2, "arguments of what is not logged are not evaluated");
    cr_assert_not_null(strstr(text, "\"event\":\"one\",\"n\":1}\n"));
    cr_assert_not_null(strstr(text, "\"event\":\"two\",\"n\":2}\n"));
    cr_assert_null(strstr(text, "three"));
}

static void
log_under_the_journal(void)
{
    struct stat status;
    char stream[64];
    cr_assert_eq(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino); /* fits */
    cr_assert_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
    log_setup(LOG_FORMAT_LOGFMT, LOG_INFO);
    log_warning("outage", LOG_WORDS("waiting"));
    cr_assert_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    log_setup(LOG_FORMAT_LOGFMT, LOG_INFO);
    log_warning("outage", LOG_WORDS("elsewhere"));
}

Test(log, finds_the_journal_by_its_stream)
{
    const char *const text = stderr_of(log_under_the_journal);
    static const char first[] = "<4>level=warning event=outage msg=waiting\nts=";
    cr_assert_eq(strncmp(text, first, strlen(first)), 0, "%s", text);
}
