/* relay/config/problem.h - the problems of a configuration file, collected so that all can be reported at once. */
#ifndef RELAY_CONFIG_PROBLEM_H
#define RELAY_CONFIG_PROBLEM_H

#include <stddef.h>

#include "base/error.h"

struct config_problem {
    size_t file;   /* index in `paths` */
    unsigned line; /* 0: the file as a whole */
    char *text;
};

struct config_problems {
    /* The files, in the order in which they are read. [0] is the main one, as the operator wrote it; the others are
     * included by it. */
    char **paths;
    size_t path_count;
    size_t file; /* the file of which config_problem_add speaks */
    struct config_problem *items;
    size_t count;
};

void config_problems_init(struct config_problems *problems, const char *path);
void config_problems_done(struct config_problems *problems);

/* Another file: problems are about it from now on. */
void config_problems_enter(struct config_problems *problems, const char *path);

/* "line 12", or "line 12 of FILE" if that is not the file of which the problems are now. A new string; memory_free. */
char *config_problems_line(const struct config_problems *problems, size_t file, unsigned line);

/* The text must name no secret. */
void config_problem_add(struct config_problems *problems, unsigned line, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Gives each to `report` as "path:line: text", by file and line, in the order found within a line. */
void config_problems_report(struct config_problems *problems,
                            void (*report)(void *context, const char *problem), void *context);

/* A new string; memory_free. */
char *config_format(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
