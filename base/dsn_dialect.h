/* base/dsn_dialect.h - what differs between the connection strings of libpq and those of MariaDB and MySQL (base/dsn.h): the
 * names, and which values they may have. The grammar is the same. */
#ifndef BASE_DSN_DIALECT_H
#define BASE_DSN_DIALECT_H

#include <stddef.h>

struct dsn_option {
    const char *name;
    const char *const
        *values; /* NULL: any; dsn_number, dsn_ports; or the list of them, which ends in NULL */
};

struct dsn_dialect {
    const struct dsn_option *options;
    size_t option_count;
    const char *schemes[3]; /* what a URL begins with; NULL behind the last */
    const char *expected;   /* the words for what is no connection string at all */
    const char *unknown;    /* for a name that there is not */
};

/* Values by the address: a whole number; a list of ports. */
extern const char *const dsn_number[];
extern const char *const dsn_ports[];

extern const struct dsn_dialect dsn_libpq;
extern const struct dsn_dialect dsn_mysql;

#endif
