/* tests/unit/config_fixture.h - configuration files in a directory of the test's own, and what is said of them. */
#ifndef TESTS_UNIT_CONFIG_FIXTURE_H
#define TESTS_UNIT_CONFIG_FIXTURE_H

#include <sys/types.h>

#include "relay/config/config.h"

/* What was wrong with the last file that was loaded: a line for each problem. */
extern char conf_problems[8000];

/* Init and fini of a suite: the working directory is a new one, which goes with the test. */
void conf_enter(void);
void conf_leave(void);

void conf_write(const char *path, const char *text, mode_t mode);

/* Loads this file; the second writes it first. NULL: see conf_problems. */
struct config *conf_load_file(const char *path);
struct config *conf_load(const char *path, const char *text);

/* As relay.conf; fails the test if there are problems, or others than exactly these lines. */
struct config *conf_load_good(const char *text);
void conf_expect_problems(const char *text, const char *expected);

#endif
