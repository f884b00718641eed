/* relay/ports/database.h - a kind of database, whichever it is: all that configuration, daemon and command line ask of it.
 *
 * One more is a folder beside relay/postgres, whose kind.h names its `const struct database_kind database_NAME`, and a line
 * in relay/kinds/kinds.c. The folder has
 *   kind.c      the table of what follows, and nothing else
 *   source*.c   source_new: the outbox as the pipeline sees it (source.h), which never blocks
 *   admin*.c    admin_open: what operators see and do (admin_ops.h); this and all that follows is foreground, and may block
 *   check*.c    check
 *   init*.c     init and init_print
 *   config.c    what can be said of a dsn without connecting
 * The statements are .sql files in outbox-sql/NAME/, one each. A source's section of the configuration has its kind in it, so
 * nobody but the configuration looks for one. */
#ifndef RELAY_PORTS_DATABASE_H
#define RELAY_PORTS_DATABASE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

struct admin;
struct config_warnings;
struct report;
struct source;
struct source_config;

/* A key of a source's section that is for some kinds alone. */
struct database_key {
    const char *name;
    bool (*check)(
        const char *text,
        struct error *reterr); /* of its value, beside what relay/config/keys.c says; or NULL */
};

struct database_kind {
    const char *name; /* as in kind = "postgres" */

    /* The configuration asks, and connects to nothing. What a dsn says is shown to nobody but names of options. */
    const char *dsn_words; /* what it is, for docs/CONFIGURATION.md */
    /* *ret_dsn: `text` with the names of files in it as seen from `directory`, which are looked at; for config_secret_free. */
    bool (*dsn_take)(const char *text, const char *directory, char **ret_dsn, struct error *reterr);
    /* Which outbox it leads to, without user and password: two that lead to the same give the same. A new string, for memory_free;
     * NULL: not known. */
    char *(*dsn_place)(const char *dsn);
    /* What of source->dsn is not as safe as it could be. */
    void (*dsn_advise)(const struct source_config *source, struct config_warnings *warnings,
                       struct config_warnings *advice);
    bool (*dsn_has_password)(const char *dsn);

    /* Which of the keys that not all kinds have this one has; ends with {NULL}. */
    const struct database_key *keys;
    /* Whether these fit together; NULL: there is nothing to ask. False with *reterr, and the key to be blamed. */
    bool (*keys_check)(const struct source_config *source, const char **ret_key,
                       struct error *reterr);

    /* Keeps `config` by reference. Connects with the first source_ops.process. False if the dsn cannot be read. */
    bool (*source_new)(const struct source_config *config, struct source **ret_source,
                       struct error *reterr);

    /* Connects, and looks whether the tables are those that this relay knows. Keeps `source` by reference. NULL with
     * *reterr. */
    struct admin *(*admin_open)(const struct source_config *source, struct error *reterr);

    /* Connects as the relay would, changes nothing, and says of all that it needs how it stands. Each line of this and of
     * init begins with `source "NAME": `. */
    void (*check)(struct report *report, const struct source_config *source);

    /* Makes what is not there: the tables, and what it takes to read the log where `mode` is not "poll". A problem is what a
     * relay cannot do without. */
    void (*init)(struct report *report, const struct source_config *source);

    /* The SQL that init runs where there is nothing yet; it says which part migrates. `schema`: of the tables. */
    void (*init_print)(FILE *out, const char *schema);
    /* Where a database has them unless told otherwise; NULL: it has no schemas, and none is named. */
    const char *schema;
};

/* The one of this name; NULL: there is none. `kinds` ends with NULL. */
const struct database_kind *database_kind_find(const struct database_kind *const *kinds,
                                               const char *name);

/* What a kind has to say of a key; NULL: nothing, be it that it is everybody's, or not its own. */
const struct database_key *database_kind_key(const struct database_kind *kind, const char *name);

/* Whether a key is for some of the kinds alone. */
bool database_kinds_own(const struct database_kind *const *kinds, const char *name);

#endif
