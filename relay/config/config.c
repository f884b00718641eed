#include "relay/config/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/config/load.h"
#include "relay/config/parse.h"
#include "relay/config/secret.h"
#include "relay/config/value.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define SHOWN_MAX 80 /* bytes of a value in a message */

const struct config_entry *
config_load_entry(const struct config_load *load, size_t section, const char *name)
{
    const struct config_entry *found = NULL;
    for (size_t i = 0; i < load->entry_count; i++) {
        const struct config_entry *const entry = &load->entries[i];
        if (entry->section == section && strcmp(entry->key->name, name) == 0) {
            found = entry;
        }
    }
    return found;
}

void
config_load_problem(struct config_load *load, size_t index, unsigned line, const char *format, ...)
{
    const struct config_section *const section = &load->scan.sections[index];
    char words[600];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments); /* cut is fine */
    va_end(arguments);
    char *const place = config_section_place(section);
    config_problem_add(&load->problems, line == 0 ? section->line : line, "%s%s", place, words);
    memory_free(place);
}

/* Some editors write a byte order mark at the start of UTF-8, where it has no meaning. */
static void
blank_mark(char *text)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (strncmp(text, mark, strlen(mark)) == 0) {
        memset(text, ' ', strlen(mark));
    }
}

/* The text of the file with room for what config_scan_text may add; NULL with a problem. */
static char *
read_text(struct config_load *load, const char *path)
{
    FILE *const file = fopen(path, "re");
    if (file == NULL) {
        config_problem_add(&load->problems, 0, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    char *text = memory_array(FILE_MAX_BYTES + 2, 1);
    const size_t size = fread(text, 1, FILE_MAX_BYTES, file);
    const int failed = ferror(file) != 0 ? errno : 0;
    const bool too_long = size == FILE_MAX_BYTES && fgetc(file) != EOF;
    (void)fclose(file); /* was only read */
    if (failed != 0) {
        config_problem_add(&load->problems, 0, "cannot be read: %s", strerror(failed));
    } else if (too_long) {
        config_problem_add(&load->problems, 0, "is over 1 MiB, which is no configuration file");
    } else if (strlen(text) != size) {
        config_problem_add(&load->problems, 0, "has a zero byte, so it is no text");
    } else {
        blank_mark(text);
        return text;
    }
    memory_free(text);
    return NULL;
}

/* The section to which a value belongs: libconfuse gives its title and line, but of two sections with the same name it
 * keeps only the last. */
static size_t
section_at(const struct config_scan *scan, enum config_scope scope, const char *title,
           unsigned line)
{
    size_t found = 0;
    for (size_t i = 0; i < scan->count; i++) {
        const struct config_section *const section = &scan->sections[i];
        if (section->scope != scope || line < section->line || line > section->last_line) {
            continue;
        }
        found = i;
        if (title != NULL && section->title != NULL && strcmp(title, section->title) == 0) {
            break;
        }
    }
    return found;
}

static void
take_entry(void *context, const struct config_key *key, const char *title, unsigned line,
           const char *value)
{
    struct config_load *const load = context;
    struct error error;
    const struct config_entry entry = {
        .key = key,
        .section = section_at(&load->scan, key->scope, title, line),
        .line = line,
        .from_environment = config_is_expanded(value),
        .value = config_expand(value, &error),
    };
    if (entry.value == NULL) {
        config_load_problem(load, entry.section, line, "%s: %s", key->name, error.text);
    }
    const struct config_entry *const first = config_load_entry(load, entry.section, key->name);
    if (first != NULL) {
        config_load_problem(load, entry.section, line, "%s is given twice, first in line %u",
                            key->name, first->line);
    }
    struct config_entry *const entries = memory_array(load->entry_count + 1, sizeof(*entries));
    if (load->entry_count > 0) {
        memcpy(entries, load->entries, load->entry_count * sizeof(*entries));
    }
    entries[load->entry_count++] = entry;
    memory_free(load->entries);
    load->entries = entries;
}

/* Takes a struct for a section named `title`; `config` has room for it. */
static void *
make_target(struct config *config, const struct broker_kind *broker, enum config_scope scope,
            const char *title)
{
    char **name = NULL;
    void *target = config;
    switch (scope) {
    case CONFIG_BROKER:
        target = &config->brokers[config->broker_count];
        config->brokers[config->broker_count].kind = broker;
        name = &config->brokers[config->broker_count++].name;
        break;
    case CONFIG_SOURCE:
        target = &config->sources[config->source_count];
        name = &config->sources[config->source_count++].name;
        break;
    case CONFIG_EXCHANGE:
        target = &config->exchanges[config->exchange_count];
        name = &config->exchanges[config->exchange_count++].name;
        break;
    case CONFIG_QUEUE:
        target = &config->queues[config->queue_count];
        name = &config->queues[config->queue_count++].name;
        break;
    case CONFIG_BINDING:
        target = &config->bindings[config->binding_count++];
        break;
    case CONFIG_GLOBAL:
        break;
    }
    if (name != NULL) {
        *name = memory_string(title);
    }
    return target;
}

/* Creates a struct for every section. */
static void
make_targets(struct config_load *load)
{
    struct config *const config = memory_array(1, sizeof(*config));
    const struct config_scan *const scan = &load->scan;
    config->brokers = memory_array(scan->count, sizeof(*config->brokers));
    config->sources = memory_array(scan->count, sizeof(*config->sources));
    config->exchanges = memory_array(scan->count, sizeof(*config->exchanges));
    config->queues = memory_array(scan->count, sizeof(*config->queues));
    config->bindings = memory_array(scan->count, sizeof(*config->bindings));
    load->config = config;
    load->context.warnings = &config->warnings;
    load->targets = memory_array(scan->count, sizeof(*load->targets));
    for (size_t i = 0; i < scan->count; i++) {
        load->targets[i] = make_target(config, load->context.broker, scan->sections[i].scope,
                                       scan->sections[i].title);
    }
}

/* A value as it is shown in a message: one line, not too long. A new string. */
static char *
shown(const char *value)
{
    char *const text =
        config_format("%.*s%s", SHOWN_MAX, value, strlen(value) > SHOWN_MAX ? "..." : "");
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            *at = '?';
        }
    }
    return text;
}

static void
report_value(struct config_load *load, const struct config_entry *entry, const struct error *error)
{
    const struct config_key *const key = entry->key;
    if ((key->flags & CONFIG_SECRET) != 0) {
        config_load_problem(load, entry->section, entry->line, "%s: %s", key->name, error->text);
        return;
    }
    char *const value = shown(entry->value);
    config_load_problem(load, entry->section, entry->line, "%s = %s: %s", key->name,
                        value[0] == '\0' ? "\"\"" : value, error->text);
    memory_free(value);
}

static bool
is_kind(const struct config_entry *entry)
{
    return entry->key->type == CONFIG_KIND;
}

static void
apply_entry(struct config_load *load, const struct config_entry *entry)
{
    struct error error;
    if (entry->value != NULL && !config_value_set(&load->context, entry->key, entry->value,
                                                  load->targets[entry->section], &error)) {
        report_value(load, entry, &error);
    }
}

/* The kinds first, as the other keys of a section depend on them. */
static void
apply_entries(struct config_load *load)
{
    for (size_t i = 0; i < load->entry_count; i++) {
        if (is_kind(&load->entries[i])) {
            apply_entry(load, &load->entries[i]);
        }
    }
    for (size_t i = 0; i < load->entry_count; i++) {
        if (!is_kind(&load->entries[i])) {
            apply_entry(load, &load->entries[i]);
        }
    }
}

/* Sets defaults, and reports missing keys. */
static void
prepare_section(struct config_load *load, size_t section)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *const key = &config_keys[i];
        if (key->scope != load->scan.sections[section].scope) {
            continue;
        }
        struct error error;
        if (key->default_value != NULL && !config_value_set(&load->context, key, key->default_value,
                                                            load->targets[section], &error)) {
            abort(); /* a mistake in keys.c */
        }
        if ((key->flags & CONFIG_REQUIRED) != 0 && !load->scan.broken &&
            config_load_entry(load, section, key->name) == NULL) {
            config_load_problem(load, section, 0, "%s is missing", key->name);
        }
    }
}

static void
load_text(struct config_load *load, char *text)
{
    config_scan_text(text, &load->problems, &load->scan);
    make_targets(load);
    if (!config_parse_text(text, &load->problems, take_entry, load)) {
        load->scan.broken = true;
    }
    for (size_t i = 0; i < load->scan.count; i++) {
        prepare_section(load, i);
    }
    apply_entries(load);
    config_check(load);
}

static char *
directory_of(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash == NULL ? memory_string(".") : config_format("%.*s/", (int)(slash - path), path);
}

static void
load_done(struct config_load *load)
{
    for (size_t i = 0; i < load->entry_count; i++) {
        config_secret_free(load->entries[i].value); /* any value may be a secret */
    }
    memory_free(load->entries);
    memory_free(load->targets);
    memory_free(load->context.directory);
    config_scan_done(&load->scan);
    config_problems_done(&load->problems);
}

struct config *
config_load(const char *path, const struct database_kind *const *kinds,
            const struct broker_kind *broker, void (*report)(void *context, const char *problem),
            void *context)
{
    struct config_load load = {
        .context = {.kinds = kinds, .broker = broker, .directory = directory_of(path)}};
    config_problems_init(&load.problems, path);
    char *const text = read_text(&load, path);
    if (text != NULL) {
        load_text(&load, text);
        explicit_bzero(text, FILE_MAX_BYTES);
        memory_free(text);
    }
    struct config *config = load.config;
    if (load.problems.count > 0) {
        config_problems_report(&load.problems, report, context);
        config_free(config);
        config = NULL;
    }
    load_done(&load);
    return config;
}

/* Frees what the keys of one section have set. */
static void
values_done(enum config_scope scope, void *target)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].scope == scope) {
            config_value_free(&config_keys[i], target);
        }
    }
}

static void
broker_done(struct broker_config *broker)
{
    values_done(CONFIG_BROKER, broker);
    memory_free(broker->name);
}

static void
source_done(struct source_config *source)
{
    values_done(CONFIG_SOURCE, source);
    memory_free(source->name);
}

/* The names of these sections are values of keys as well. */
static void
topology_done(struct config *config)
{
    for (size_t i = 0; i < config->exchange_count; i++) {
        values_done(CONFIG_EXCHANGE, &config->exchanges[i]);
    }
    for (size_t i = 0; i < config->queue_count; i++) {
        values_done(CONFIG_QUEUE, &config->queues[i]);
    }
    for (size_t i = 0; i < config->binding_count; i++) {
        values_done(CONFIG_BINDING, &config->bindings[i]);
    }
    memory_free(config->exchanges);
    memory_free(config->queues);
    memory_free(config->bindings);
}

static void
warnings_done(struct config_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        memory_free(warnings->texts[i]);
    }
    memory_free(warnings->texts);
}

void
config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        broker_done(&config->brokers[i]);
    }
    for (size_t i = 0; i < config->source_count; i++) {
        source_done(&config->sources[i]);
    }
    topology_done(config);
    warnings_done(&config->warnings);
    warnings_done(&config->advice);
    memory_free(config->brokers);
    memory_free(config->sources);
    memory_free(config);
}
