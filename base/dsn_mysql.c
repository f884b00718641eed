#include "base/dsn_dialect.h"

/* Libpq's names for options that the client libraries of MariaDB and MySQL call differently (base/mysql/connect.c). libpq's
 * "allow" is not among them: these libraries ask for TLS first or not at all. */
static const char *const sslmodes[] = {"disable",   "prefer",      "require",
                                       "verify-ca", "verify-full", NULL};

static const struct dsn_option options[] = {
    {"host", NULL},        {"port", dsn_ports},   {"dbname", NULL},
    {"user", NULL},        {"password", NULL},    {"connect_timeout", dsn_number},
    {"sslmode", sslmodes}, {"sslrootcert", NULL}, {"sslcert", NULL},
    {"sslkey", NULL},      {"sslcrl", NULL},
};

const struct dsn_dialect dsn_mysql = {
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .schemes = {"mysql://", "mariadb://"},
    .expected = "expected a connection string: \"host=db dbname=shop user=relay\", values with "
                "blanks in single quotes, or \"mysql://relay@db/shop\"",
    .unknown = "there is no such connection option for MariaDB and MySQL",
};
