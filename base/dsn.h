/* base/dsn.h - libpq's connection strings, "host=db user=relay" and "postgresql://relay@db/shop", read without libpq; and the
 * same for MariaDB and MySQL, whose client libraries have none: "host=db user=relay" and "mysql://relay@db/shop" (or mariadb:),
 * with fewer names.
 *
 * libpq's messages quote what it could not understand, which may be half a password: of "postgresql://u:a/b@db/shop" it
 * makes the port "a" and the database "b@db/shop". So a string is read here first, by libpq's rules but stricter, and only a
 * correct one is given to libpq. The error texts of these functions show nothing of the string except names of options. */
#ifndef BASE_DSN_H
#define BASE_DSN_H

#include <stddef.h>

#include "base/error.h"

struct dsn_parameter {
    const char *name; /* one of libpq's; static */
    char *value;
};

struct dsn {
    const struct dsn_dialect *dialect; /* libpq's, or that of MariaDB and MySQL */
    struct dsn_parameter *parameters;  /* in the order of the string; the last of a name counts */
    size_t count;
};

/* Reads `text`. Checks the grammar, the names, and values that are numbers or come from a fixed set (sslmode and the like). In
 * a URL an '@' may stand only before the hosts and in values of the query: elsewhere it is the rest of a password that was not
 * percent-encoded. On failure *ret_dsn is untouched and *reterr says what is wrong
 * (ERROR_CONFIG; ERROR_TRANSIENT when memory is out). The caller ends it by dsn_done. */
bool dsn_parse(const char *text, struct dsn *ret_dsn, struct error *reterr) MUST_CHECK;
bool dsn_mysql_parse(const char *text, struct dsn *ret_dsn, struct error *reterr) MUST_CHECK;

/* The same, for who wants nothing but the verdict. */
bool dsn_check(const char *text, struct error *reterr) MUST_CHECK;
bool dsn_mysql_check(const char *text, struct error *reterr) MUST_CHECK;

/* The effective value; NULL if the option is not named, or empty. Borrowed. */
const char *dsn_value(const struct dsn *dsn, const char *name);

/* The file that sslrootcert, sslcert, sslkey or sslcrl names; NULL if it names none ("system", a key in an engine).
 * Borrowed. */
const char *dsn_file(const struct dsn *dsn, const char *name);
extern const char *const dsn_file_names[]; /* those four, and NULL */

/* Checks that those files can be read, and that nobody else can read the key (a rule of libpq, not of MariaDB and MySQL).
 * `text` must be valid. False with ERROR_CONFIG. Never waits; a client library would wait for the writer of a pipe. */
bool dsn_files_check(const char *text, struct error *reterr) MUST_CHECK;
bool dsn_mysql_files_check(const struct dsn *dsn, struct error *reterr) MUST_CHECK;

/* `text`, a valid string of the dialect, with one more parameter, which overrides an earlier one of that name. New memory, for
 * free(); NULL when memory is out. */
char *dsn_with(const struct dsn_dialect *dialect, const char *text, const char *name,
               const char *value);

/* Wipes and frees. */
void dsn_done(struct dsn *dsn);

#endif
