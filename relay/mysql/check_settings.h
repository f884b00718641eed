/* relay/mysql/check_settings.h - the part of `check` for the server's settings. */
#ifndef RELAY_MYSQL_CHECK_SETTINGS_H
#define RELAY_MYSQL_CHECK_SETTINGS_H

#include <mysql.h>

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* `settings`: name and value of each setting that the server has (check_settings.sql). */
void my_check_settings(struct report *report, const struct source_config *source,
                       MYSQL_RES *settings);

/* True if the server has this setting and it is on. */
bool my_check_is_on(MYSQL_RES *settings, const char *name);

#endif
