/* relay/config/problem.h - the problems of a configuration file, collected so that all can be reported at once. */
#ifndef RELAY_CONFIG_PROBLEM_H
#define RELAY_CONFIG_PROBLEM_H

#include <stddef.h>

#include "base/error.h"

struct config_problem {
    unsigned line; /* 0: the file as a whole */
    char *text;
};

struct config_problems {
    const char *path; /* as the operator wrote it; borrowed */
    struct config_problem *items;
    size_t count;
};

void config_problems_init(struct config_problems *problems, const char *path);
void config_problems_done(struct config_problems *problems);

/* The text must name no secret. */
void config_problem_add(struct config_problems *problems, unsigned line, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Gives each to `report` as "path:line: text", by line, in the order found within a line. */
void config_problems_report(struct config_problems *problems,
                            void (*report)(void *context, const char *problem), void *context);

/* A new string; memory_free. */
char *config_format(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
