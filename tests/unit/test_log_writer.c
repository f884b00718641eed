#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/daemon/log_writer.h"

#define PATIENCE_US (60 * CLOCK_S_US)
#define SHORT_US (50 * CLOCK_MS_US)
/* Size of a line: "line 000001 xxx…\n". */
#define LINE_BYTES 200
/* More than the writer's buffer and the pipe hold. */
#define MANY 20000

TestSuite(log_writer, .timeout = 120);

/* Read end and write end of a pipe that takes 4096 bytes. */
static int ends[2];
static struct log_writer *writer;

static size_t
tell(char *line, size_t size, uint64_t dropped)
{
    return (size_t)snprintf(line, size, "dropped %llu\n", (unsigned long long)dropped);
}

static void
start(int flags)
{
    struct error error;
    cr_assert_eq(pipe2(ends, flags), 0);
    cr_assert_geq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
    writer = log_writer_start(ends[1], tell, &error);
    cr_assert_not_null(writer, "%s", error.text);
}

static void
put_lines(unsigned first, unsigned count)
{
    char line[LINE_BYTES + 1];
    for (unsigned i = first; i < first + count; i++) {
        (void)snprintf(line, sizeof(line), "line %06u %0*d\n", i, LINE_BYTES - 13, 0); /* fits */
        log_writer_put(writer, line, strlen(line));
    }
}

/* What a reader sees of one writer: the number of lines, of reported gaps, and of the lines in these. */
struct seen {
    unsigned lines;
    unsigned gaps;
    unsigned dropped;
    unsigned next; /* the next expected number */
};

/* Each line is complete and in its place, or reported as left out. */
static void
take_line(struct seen *seen, const char *line)
{
    unsigned number;
    if (sscanf(line, "dropped %u\n", &number) == 1) {
        seen->gaps++;
        seen->dropped += number;
        seen->next += number;
        return;
    }
    cr_assert_eq(sscanf(line, "line %u ", &number), 1, "no line: %s", line);
    cr_assert_eq(strlen(line), (size_t)LINE_BYTES, "cut: %s", line);
    cr_assert_eq(number, seen->next, "line %u instead of %u", number, seen->next);
    seen->lines++;
    seen->next++;
}

/* Reads until all numbers below `until` are accounted for. */
static void
read_lines(struct seen *seen, unsigned until)
{
    char line[LINE_BYTES + 10];
    FILE *const stream = fdopen(dup(ends[0]), "r");
    cr_assert_not_null(stream);
    cr_assert_eq(setvbuf(stream, NULL, _IONBF, 0), 0); /* so that unread bytes stay in the pipe */
    while (seen->next < until) {
        cr_assert_not_null(fgets(line, sizeof(line), stream));
        take_line(seen, line);
    }
    cr_assert_eq(fclose(stream), 0);
}

static void
end(void)
{
    cr_assert(log_writer_flush(writer, PATIENCE_US));
    log_writer_free(writer);
    cr_assert_eq(close(ends[0]) + close(ends[1]), 0);
}

Test(log_writer, lines_come_in_order)
{
    struct seen seen = {0};
    start(O_CLOEXEC);
    put_lines(0, 500);
    read_lines(&seen, 500);
    cr_assert_eq(seen.lines, 500);
    cr_assert_eq(seen.gaps, 0);
    end();
}

/* Promise: a thread that logs never waits for the reader; missing lines are counted, and reported in their place. */
Test(log_writer, a_reader_that_stops_costs_lines_and_nothing_else)
{
    struct seen seen = {0};
    start(O_CLOEXEC);
    put_lines(0, MANY); /* returns although nothing was read */
    cr_assert_not(log_writer_flush(writer, SHORT_US));
    read_lines(&seen, MANY);
    cr_assert_eq(seen.gaps, 1);
    cr_assert_eq(seen.lines + seen.dropped, MANY);
    cr_assert_geq(seen.lines, 4000, "a burst of some thousand lines is kept, not %u", seen.lines);
    put_lines(MANY, 100);
    read_lines(&seen, MANY + 100);
    cr_assert_eq(seen.gaps, 1, "the log goes on");
    end();
}

/* A process that shares the pipe, such as a parent in Node, makes it non-blocking. */
Test(log_writer, a_descriptor_that_is_non_blocking_loses_nothing)
{
    struct seen seen = {0};
    start(O_CLOEXEC | O_NONBLOCK);
    put_lines(0, 500);
    cr_assert_eq(fcntl(ends[0], F_SETFL, 0), 0);
    read_lines(&seen, 500);
    cr_assert_eq(seen.gaps, 0);
    end();
}

Test(log_writer, a_reader_that_went_away_stops_nobody)
{
    (void)signal(SIGPIPE, SIG_IGN);
    start(O_CLOEXEC);
    cr_assert_eq(close(ends[0]), 0);
    put_lines(0, MANY);
    cr_assert(log_writer_flush(writer, PATIENCE_US));
    log_writer_free(writer);
    cr_assert_eq(close(ends[1]), 0);
}

/* Like a disk that is full for a while. */
Test(log_writer, what_could_not_be_written_is_told_when_it_can)
{
    struct seen seen = {0};
    (void)signal(SIGPIPE, SIG_IGN);
    start(O_CLOEXEC);
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    const int pipe_end = dup(ends[1]);
    cr_assert(full >= 0 && pipe_end >= 0);
    cr_assert_geq(dup2(full, ends[1]), 0);
    put_lines(0, 3);
    cr_assert(log_writer_flush(writer, PATIENCE_US));
    cr_assert_geq(dup2(pipe_end, ends[1]), 0);
    put_lines(3, 1);
    read_lines(&seen, 4);
    cr_assert_eq(seen.dropped + seen.lines, 4);
    cr_assert_geq(seen.dropped, 3);
    cr_assert_eq(close(full) + close(pipe_end), 0);
    end();
}
