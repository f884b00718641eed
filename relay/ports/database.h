/* relay/ports/database.h - one kind of database: all that configuration, daemon and command line need of it.
 *
 * To add a kind, add a folder beside relay/postgres, whose kind.h declares `const struct database_kind database_NAME`,
 * and a line in relay/kinds/kinds.c. The folder has
 *   kind.c      the table of what follows, and nothing else
 *   source*.c   source_new: the outbox for the pipeline (source.h); never blocks
 *   admin*.c    admin_open: what operators see and do (admin_ops.h); this and the rest may block
 *   check*.c    check
 *   init*.c     init, init_print and init_print_roles
 *   config.c    what a dsn tells without connecting
 *   discover.c  discover: the names of the tenants of a template
 * The statements are .sql files in outbox-sql/NAME/, one in each. A source's section of the configuration points to its
 * kind, so only the configuration looks kinds up by name. docs/ARCHITECTURE.md lists what else a new kind touches.
 *
 * What it needs of a server: transactions; a lock that belongs to a session, for the ownership; a time after which the
 * server ends a silent session, for the lease (source.h); and what watermark.h needs. It can do without a list of
 * writers: then no id is ever final, so each look at the table begins at its first row, and the log is not read (as on
 * some servers of relay/mysql/source_watermark.h).
 *
 * What it need not write again: events.h, the queue of a source's events; fetch_plan.h, which rows to ask for; halving.h,
 * which row is to blame; watermark.h, what is final; link_rate.h, for check.
 *
 * Where nothing else is said, functions here are called by the main thread. */
#ifndef RELAY_PORTS_DATABASE_H
#define RELAY_PORTS_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

struct admin;
struct config_warnings;
struct report;
struct source;
struct source_config;

/* A key of a source's section that only some kinds have. */
struct database_key {
    const char *name;
    /* Checks the value, in addition to relay/config/keys.c; or NULL. */
    bool (*check)(const char *text, struct error *reterr);
};

/* What a query has found: the names of tenants, as the server gave them. */
struct database_names {
    char **names; /* a name may be NULL, as the server's NULL */
    size_t count;
    size_t room;
};

/* A longer name is cut here, which no name is that can be used. */
#define DATABASE_NAME_BYTES_MAX 255

/* Adds a copy of a name of `size` bytes; NULL: the server's. A zero byte in it becomes another control character. */
void database_names_add(struct database_names *names, const char *name, size_t size);
/* Frees them. May be called again, and for {0}. */
void database_names_done(struct database_names *names);

/* Stands for the name of a tenant in a template's dsn, and in other keys of it. */
#define DATABASE_TENANT "{tenant}"

struct database_kind {
    const char *name; /* as in kind = "postgres" */

    /* For the configuration; nothing here connects. Of a dsn only names of options are ever shown. */
    const char *dsn_words; /* what a dsn is, for docs/CONFIGURATION.md */
    /* *ret_dsn: `text`, with file names in it resolved against `directory`; the files are checked. Free it with
     * config_secret_free. */
    bool (*dsn_take)(const char *text, const char *directory, char **ret_dsn, struct error *reterr);
    /* Which outbox the dsn leads to, without user and password: equal for two dsns that lead to the same. A new string,
     * for memory_free; NULL: not known. */
    char *(*dsn_place)(const char *dsn);
    /* The same for the server, whose log all its databases share. */
    char *(*dsn_server)(const char *dsn);
    /* Warns of what in source->dsn is less safe than it could be. */
    void (*dsn_advise)(const struct source_config *source, struct config_warnings *warnings,
                       struct config_warnings *advice);
    bool (*dsn_has_password)(const char *dsn);
    /* Whether this name means the same tenant to the server, once it stands in place of DATABASE_TENANT in the dsn; NULL:
     * any does. */
    bool (*tenant_fits)(const char *dsn, const char *tenant, struct error *reterr);

    /* The keys of this kind that not all kinds have; ends with {NULL}, and may have nothing else. */
    const struct database_key *keys;
    /* Whether the values of these keys fit together; NULL: no check. False with *reterr, and with the key at fault. Also
     * called for a section in which something else is wrong: source->dsn may be NULL. */
    bool (*keys_check)(const struct source_config *source, const char **ret_key,
                       struct error *reterr);

    /* Whatever connects asks for config->password each time (relay/config/password.h), since a password may change. A
     * source does so without blocking its thread, because a password_command may take long. */

    /* Keeps `config` by reference. Connects in the first call of source_ops.process. False if the dsn cannot be parsed. */
    bool (*source_new)(const struct source_config *config, struct source **ret_source,
                       struct error *reterr);

    /* Connects, and checks that this relay knows the version of the tables. Keeps `source` by reference. NULL with
     * *reterr. */
    struct admin *(*admin_open)(const struct source_config *source, struct error *reterr);

    /* Runs the query `discover` of a template, whose dsn has DATABASE_TENANT in it, and returns the names in its one
     * column. Where the dsn's database is each tenant's own, it runs in one that every server has, unless discover_dsn
     * says where. Changes nothing (the transaction is read-only), and gives up after some 20 s for each host. More than
     * `rows_max` names are a failure. Keeps nothing; any thread. ret_names is {0} before. */
    bool (*discover)(const struct source_config *template, size_t rows_max,
                     struct database_names *ret_names, struct error *reterr);

    /* Connects as the relay would, changes nothing, and reports on everything that the relay needs. Each line of check
     * and init begins with `source "NAME": `. */
    void (*check)(struct report *report, const struct source_config *source);

    /* Creates what is missing: the tables, and what is needed to read the log unless `mode` is "poll". A problem is
     * something without which the relay cannot run. */
    void (*init)(struct report *report, const struct source_config *source);

    /* Prints the SQL that init runs where nothing exists yet, and says which part migrates. `schema`: of the tables; NULL
     * if this kind has no schemas. */
    void (*init_print)(FILE *out, const char *schema);
    /* Prints the SQL that makes roles for producers, relay and operators, to be run after init. */
    void (*init_print_roles)(FILE *out, const char *schema);
    /* The default schema of the tables; NULL: this kind has no schemas. */
    const char *schema;
};

/* The kind with this name; NULL: there is none. `kinds` ends with NULL. */
const struct database_kind *database_kind_find(const struct database_kind *const *kinds,
                                               const char *name);

/* The kind's own entry for a key; NULL: the key belongs to all kinds, or to other kinds. */
const struct database_key *database_kind_key(const struct database_kind *kind, const char *name);

/* True if only some kinds have the key. */
bool database_kinds_own(const struct database_kind *const *kinds, const char *name);

#endif
