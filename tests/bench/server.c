/* The processor time of a database server's processes. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"

struct process {
    long parent;
    double own_us;
    double children_us; /* of children that have ended and were waited for */
};

/* proc(5): after the name, which may contain anything, come the state, the parent and, ten further on, four times in
 * clock ticks. */
static bool
look_at(long pid, struct process *ret_process)
{
    char path[40];
    char text[1000];
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    const size_t size = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[size] = '\0';
    if (file != NULL) {
        (void)fclose(file); /* was only read */
    }
    const char *at = strrchr(text, ')');
    unsigned long times[4];
    if (at == NULL ||
        sscanf(at + 1, " %*c %ld %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu %lu %lu",
               &ret_process->parent, &times[0], &times[1], &times[2], &times[3]) != 5) {
        return false; /* it has ended meanwhile */
    }
    const double tick_us = 1e6 / (double)sysconf(_SC_CLK_TCK);
    ret_process->own_us = (double)(times[0] + times[1]) * tick_us;
    ret_process->children_us = (double)(times[2] + times[3]) * tick_us;
    return true;
}

static double
sum_of_children(long parent)
{
    struct process process;
    double sum_us = 0;
    DIR *directory = opendir("/proc");
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        const long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 0 && look_at(pid, &process) && process.parent == parent) {
            sum_us += process.own_us;
        }
    }
    if (directory != NULL) {
        (void)closedir(directory); /* was only read */
    }
    return sum_us;
}

pid_t
bench_parent(pid_t process)
{
    struct process found;
    if (!look_at(process, &found)) {
        bench_fail("the server is not on this machine");
    }
    return (pid_t)found.parent;
}

double
bench_family_cpu_us(pid_t process)
{
    struct process before;
    struct process after;
    double sum_us;
    do { /* a process that ends meanwhile would not be counted */
        if (!look_at(process, &before)) {
            bench_fail("the server has ended");
        }
        sum_us = before.own_us + before.children_us + sum_of_children(process);
    } while (look_at(process, &after) && after.children_us > before.children_us);
    return sum_us;
}
