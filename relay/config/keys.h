/* relay/config/keys.h - the one table of configuration keys. The parser's option lists, the
 * defaults, the range checks and docs/CONFIGURATION.md are all made from it; a new key is one line
 * there and one member in relay/config/config.h. */
#ifndef RELAY_CONFIG_KEYS_H
#define RELAY_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_scope {
    CONFIG_GLOBAL,
    CONFIG_BROKER,
    CONFIG_SOURCE,
    CONFIG_EXCHANGE,
    CONFIG_QUEUE,
    CONFIG_BINDING, /* this and the next have no names of their own */
    CONFIG_HTTP,    /* at most one */
};
#define CONFIG_SCOPE_COUNT 7

enum config_type {
    CONFIG_STRING,        /* char * */
    CONFIG_NUMBER,        /* uint32_t */
    CONFIG_DURATION,      /* uint64_t, microseconds */
    CONFIG_SECONDS,       /* a duration of whole seconds; uint16_t */
    CONFIG_SIZE,          /* uint64_t, bytes */
    CONFIG_CHOICE,        /* an enum: the position in `choices` */
    CONFIG_BOOL,          /* bool; `choices`: the words for false and true */
    CONFIG_URI,           /* struct broker_endpoint * */
    CONFIG_KIND,          /* const struct database_kind *; set before the rest of its section */
    CONFIG_DSN,           /* char *, as its kind of database takes it */
    CONFIG_PASSWORD_FILE, /* char *: the path of the file */
    CONFIG_PATH,          /* char *: a path, which need not exist */
    CONFIG_COMMAND,       /* char *, for the shell; not empty */
    CONFIG_NAME,          /* char *, of something in the database */
    CONFIG_BROKER_NAME,   /* NULL if not given */
    CONFIG_AMQP_NAME,     /* char *, the name of an exchange or queue, or a routing key */
    CONFIG_LISTEN,        /* char *, an address and a port */
    CONFIG_FILE,          /* char *: the path of a file that can be read */
};

enum config_flags {
    CONFIG_REQUIRED = 1,
    CONFIG_SECRET = 2, /* the value appears in no message */
};

struct config_key {
    enum config_scope scope;
    const char *name;
    enum config_type type;
    size_t offset;             /* of the member in the scope's struct */
    const char *default_value; /* as in the file; NULL: none */
    const char *min;           /* as text, for numbers, durations and sizes */
    const char *max;
    unsigned flags;
    const char *const *choices; /* ends with NULL */
    const char *meaning;        /* one or two sentences, for docs/CONFIGURATION.md */
};

/* In the order of the scopes. */
extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* "", "broker", "source", …: the word that opens the section. */
const char *config_scope_word(enum config_scope scope);

/* Whether sections of this scope have a name */
bool config_scope_is_named(enum config_scope scope);

/* NULL if the scope has no such key. */
const struct config_key *config_key_find(enum config_scope scope, const char *name);

#endif
