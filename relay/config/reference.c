#include "relay/config/reference.h"

#include "relay/config/keys.h"
#include "relay/config/value.h"

static const char intro[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `outbox-relay config-reference` from relay/config/keys.c: change it there. -->\n"
    "\n"
    "One file, named by `-c FILE`, and those that it includes. All of it is checked before "
    "anything\n"
    "starts, and all that is wrong is said at once, each with file and line; then the exit status "
    "is 78.\n"
    "`outbox-relay run --check-config -c FILE` does only that, `outbox-relay check -c FILE` also "
    "tries\n"
    "the databases and the brokers. A relay that runs follows a changed configuration when it is "
    "told\n"
    "to: [Operations](OPERATIONS.md#changing-the-configuration).\n"
    "\n"
    "    broker \"main\" {\n"
    "        uri = \"amqp://relay@rabbit.example/\"\n"
    "        password_file = \"broker.password\"\n"
    "    }\n"
    "    source \"orders\" {\n"
    "        kind = \"postgres\"\n"
    "        dsn = \"host=db.example dbname=shop user=relay\"\n"
    "        broker = \"main\"\n"
    "        exchange = \"orders\"\n"
    "    }\n"
    "\n"
    "- `key = value`; each key once in a section. Each section but `binding` and `http` "
    "has a\n"
    "  name of its own.\n"
    "- Values with blanks or any of `= { } ( ) + , * #` stand in quotes. In double quotes `\\\\`, "
    "`\\\"`,\n"
    "  `\\n` and the like have their usual meaning, in single quotes nothing has one.\n"
    "- Comments: `# to the end of the line`, `// to the end of the line`, `/* several lines */`.\n"
    "- `${NAME}` outside of single quotes stands for an environment variable, which must be set;\n"
    "  `${NAME:-text}` stands for the text if the variable is not set or empty. `\\${` in double "
    "quotes\n"
    "  stands for the characters themselves.\n"
    "- `include` names a directory of more files. Relative names of files in such a file are "
    "looked "
    "for\n"
    "  beside it.\n"
    "- Durations have a unit: `250ms`, `30s`, `5m`, `2h`, `1d`. Sizes are bytes or have one: "
    "`512KiB`,\n"
    "  `4MiB`, `1GiB`.\n"
    "- Passwords are best kept in files of their own: `password_file`. With systemd's\n"
    "  `LoadCredential=`: `password_file = \"${CREDENTIALS_DIRECTORY}/name\"`. A command gets "
    "those "
    "that\n"
    "  expire: `password_command`.\n";

static const char *const headings[CONFIG_SCOPE_COUNT] = {
    [CONFIG_GLOBAL] = "Outside of the sections",
    [CONFIG_BROKER] = "broker \"name\" { ... }",
    [CONFIG_SOURCE] = "source \"name\" { ... }",
    [CONFIG_EXCHANGE] =
        "exchange \"name\" { ... }\n"
        "\n"
        "Of `exchange`, `queue` and `binding` there may be none: then the relay declares "
        "nothing. What they name it makes when it starts, as `outbox-relay init` does: durable, "
        "and only where it does not exist yet. It never changes or deletes anything: what "
        "exists otherwise stays, and is told by the log and by `outbox-relay check`.",
    [CONFIG_QUEUE] = "queue \"name\" { ... }",
    [CONFIG_BINDING] = "binding { ... }",
    [CONFIG_HTTP] = "http { ... }\n"
                    "\n"
                    "At most one. Without it the relay does not listen. See "
                    "[Operations](OPERATIONS.md#metrics-and-health).",
};

static void
print_type(FILE *file, const struct database_kind *const *kinds, const struct config_key *key)
{
    static const char *const words[] = {
        [CONFIG_STRING] = "text",
        [CONFIG_NUMBER] = "number",
        [CONFIG_DURATION] = "duration",
        [CONFIG_SECONDS] = "duration in whole seconds",
        [CONFIG_SIZE] = "size",
        [CONFIG_CHOICE] = "one of",
        [CONFIG_BOOL] = "one of",
        [CONFIG_URI] = "broker URI",
        [CONFIG_KIND] = "one of",
        [CONFIG_DSN] = "connection string",
        [CONFIG_NAME] = "name",
        [CONFIG_PASSWORD_FILE] = "file",
        [CONFIG_PATH] = "path",
        [CONFIG_BROKER_NAME] = "name of a broker section",
        [CONFIG_AMQP_NAME] = "text of at most 255 bytes",
        [CONFIG_LISTEN] = "address and port",
        [CONFIG_FILE] = "file",
    };
    char range[200];
    config_value_range(kinds, key, range, sizeof(range));
    (void)fprintf(file, "%s%s%s", words[key->type],
                  range[0] == '\0'   ? ""
                  : key->min == NULL ? " "
                                     : ", ",
                  range); /* the caller looks at the stream */
}

static void
print_default(FILE *file, const struct config_key *key)
{
    if ((key->flags & CONFIG_REQUIRED) != 0) {
        (void)fputs("**required**", file); /* as above */
    } else if (key->default_value == NULL) {
        (void)fputs("none", file); /* as above */
    } else {
        (void)fprintf(file, "default `%s`",
                      key->default_value[0] == '\0' ? "\"\"" : key->default_value); /* as above */
    }
}

/* Prints what holds only for some kinds of database. */
static void
print_kinds(FILE *file, const struct database_kind *const *kinds, const struct config_key *key)
{
    char owners[200];
    config_value_owners(kinds, key, owners, sizeof(owners));
    if (owners[0] != '\0') {
        (void)fprintf(file, "\nOnly with `kind` %s.\n", owners); /* as above */
    }
    for (size_t i = 0; key->type == CONFIG_DSN && kinds[i] != NULL; i++) {
        (void)fprintf(file, "\nWith `kind` \"%s\": %s\n", kinds[i]->name,
                      kinds[i]->dsn_words); /* as above */
    }
}

static void
print_key(FILE *file, const struct database_kind *const *kinds, const struct config_key *key)
{
    (void)fprintf(file, "\n### %s\n\n", key->name); /* as above */
    print_type(file, kinds, key);
    (void)fputs("; ", file); /* as above */
    print_default(file, key);
    (void)fprintf(file, "\n\n%s\n", key->meaning); /* as above */
    print_kinds(file, kinds, key);
}

void
config_reference_print(FILE *file, const struct database_kind *const *kinds)
{
    (void)fputs(intro, file); /* as above */
    for (enum config_scope scope = CONFIG_GLOBAL; scope < CONFIG_SCOPE_COUNT; scope++) {
        (void)fprintf(file, "\n## %s\n", headings[scope]); /* as above */
        for (size_t i = 0; i < config_key_count; i++) {
            if (config_keys[i].scope == scope) {
                print_key(file, kinds, &config_keys[i]);
            }
        }
    }
}
