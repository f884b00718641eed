#include "relay/config/config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/config/files.h"
#include "relay/config/load.h"
#include "relay/config/parse.h"
#include "relay/config/secret.h"
#include "relay/config/template.h"
#include "relay/config/value.h"

#define SHOWN_MAX 80 /* bytes of a value in a message */

const struct config_entry *
config_load_entry(const struct config_load *load, size_t section, const char *name)
{
    for (size_t at = load->last_entries[section]; at > 0; at = load->entries[at - 1].before) {
        if (strcmp(load->entries[at - 1].key->name, name) == 0) {
            return &load->entries[at - 1];
        }
    }
    return NULL;
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
    load->problems.file = section->file;
    config_problem_add(&load->problems, line == 0 ? section->line : line, "%s%s", place, words);
    memory_free(place);
}

/* The section to which a value belongs: libconfuse gives its title and line, but of two sections with the same name it
 * keeps only the last. */
static size_t
section_at(const struct config_scan *scan, size_t file, enum config_scope scope, const char *title,
           unsigned line)
{
    size_t found = 0;
    for (size_t i = 0; i < scan->count; i++) {
        const struct config_section *const section = &scan->sections[i];
        if (section->scope != scope || section->file != file || line < section->line ||
            line > section->last_line) {
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
add_entry(struct config_load *load, const struct config_entry *entry)
{
    if (load->entry_count == load->entry_room) {
        load->entry_room = 2 * load->entry_room + 16;
        struct config_entry *const entries = memory_array(load->entry_room, sizeof(*entries));
        if (load->entry_count > 0) {
            memcpy(entries, load->entries, load->entry_count * sizeof(*entries));
        }
        memory_free(load->entries);
        load->entries = entries;
    }
    load->entries[load->entry_count++] = *entry;
    load->last_entries[entry->section] = load->entry_count;
}

static void
take_entry(void *context, const struct config_key *key, const char *title, unsigned line,
           const char *value)
{
    struct config_load *const load = context;
    struct error error;
    const size_t section = section_at(&load->scan, load->file, key->scope, title, line);
    const struct config_entry entry = {
        .key = key,
        .section = section,
        .before = load->last_entries[section],
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
    add_entry(load, &entry);
}

/* FNV-1a */
uint64_t
config_phase_us(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *at = name; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    }
    return hash % CLOCK_BEAT_US;
}

static struct source_config *
make_source(struct config *config, const char *title)
{
    return template_is(title) ? &config->templates[config->template_count++].source
                              : &config->sources[config->source_count++];
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
        target = make_source(config, title);
        ((struct source_config *)target)->phase_us = config_phase_us(title);
        name = &((struct source_config *)target)->name;
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
    case CONFIG_HTTP: /* if there are two, that is reported (http.c) */
        config->http = config->http == NULL ? memory_array(1, sizeof(*config->http)) : config->http;
        target = config->http;
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
    atomic_init(&config->references, 1);
    const struct config_scan *const scan = &load->scan;
    config->brokers = memory_array(scan->count, sizeof(*config->brokers));
    config->sources = memory_array(scan->count, sizeof(*config->sources));
    config->templates = memory_array(scan->count, sizeof(*config->templates));
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

/* Names of files in a value are relative to the file in which it stands. */
static void
enter_directory_of(struct config_load *load, size_t file)
{
    if (load->context.directory == NULL || load->directory_file != file) {
        memory_free(load->context.directory);
        load->context.directory = config_file_directory(load->problems.paths[file]);
        load->directory_file = file;
    }
}

/* The template of a section; NULL: it is none. */
static struct source_template *
template_of(const struct config_load *load, size_t section)
{
    const struct config_section *const at = &load->scan.sections[section];
    return at->scope == CONFIG_SOURCE && template_is(at->title)
               ? (struct source_template *)load->targets[section] /* `source` is its first member */
               : NULL;
}

/* A value that is another one for each tenant. True if it is the template's own too: its dsn, which says where all of
 * them are. */
static bool
take_varying(struct config_load *load, struct source_template *template,
             const struct config_entry *entry)
{
    if (!template_may_vary(entry->key)) {
        config_load_problem(load, entry->section, entry->line,
                            "%s: " DATABASE_TENANT " stands for the tenant's name only in dsn, "
                            "exchange, slot, publication and password_file",
                            entry->key->name);
        return false;
    }
    template_add_text(template, entry->key, entry->value);
    return entry->key->type == CONFIG_DSN;
}

static void
apply_entry(struct config_load *load, const struct config_entry *entry)
{
    struct error error;
    struct source_template *const template = template_of(load, entry->section);
    enter_directory_of(load, load->scan.sections[entry->section].file);
    if (template != NULL && template->directory == NULL) {
        template->directory = memory_string(load->context.directory);
        template->kinds = load->context.kinds;
    }
    if (template != NULL && entry->value != NULL && strstr(entry->value, DATABASE_TENANT) != NULL &&
        !take_varying(load, template, entry)) {
        return;
    }
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

/* Reads the sections and values of the file of which the problems are now. */
static void
take_text(struct config_load *load, char *text)
{
    load->file = load->problems.file;
    config_scan_text(text, &load->problems, &load->scan);
    size_t *const last = memory_array(load->scan.count, sizeof(*last));
    if (load->last_entries != NULL) {
        memcpy(last, load->last_entries, load->section_count * sizeof(*last));
    }
    memory_free(load->last_entries);
    load->last_entries = last;
    load->section_count = load->scan.count;
    if (!config_parse_text(text, &load->problems, take_entry, load)) {
        load->scan.broken = true;
    }
}

/* False if it cannot be read, which was reported; then nothing is known of what is in it. */
static bool
take_file(struct config_load *load, const char *path, char *buffer)
{
    struct error error;
    size_t size;
    const bool good = config_file_read(path, load->problems.file > 0, buffer, &size, &error);
    if (good) {
        take_text(load, buffer);
    } else {
        config_problem_add(&load->problems, 0, "%s", error.text);
        load->scan.broken = true;
    }
    explicit_bzero(buffer, size + 2); /* the text may have a secret in it */
    return good;
}

static void
include_files(struct config_load *load, const struct config_entry *entry,
              const struct config_files *files, char *buffer)
{
    for (size_t i = 0; i < files->count; i++) {
        if (config_file_same(files->paths[i], load->problems.paths[0])) {
            config_load_problem(load, 0, entry->line,
                                "include = %s: %s is this file itself; it belongs beside the "
                                "directory, not in it",
                                entry->value, files->paths[i]);
            continue;
        }
        config_problems_enter(&load->problems, files->paths[i]);
        (void)take_file(load, files->paths[i], buffer); /* reported, and the next one is read */
    }
}

/* A directory that cannot be read is a mistake, unlike an empty one: after a slip of the pen, or when it is not mounted,
 * a reload would remove every source of it. */
static void
include(struct config_load *load, char *buffer)
{
    const struct config_entry *const found = config_load_entry(load, 0, "include");
    if (found == NULL || found->value == NULL) {
        return;
    }
    const struct config_entry entry = *found; /* the array moves as others come */
    char *const beside = config_file_directory(load->problems.paths[0]);
    char *const directory = config_path(entry.value, beside);
    struct config_files files;
    struct error error;
    if (config_files_list(directory, &files, &error)) {
        load->included_count = files.count;
        include_files(load, &entry, &files, buffer);
    } else {
        config_load_problem(load, 0, entry.line, "include = %s: the directory %s", entry.value,
                            error.text);
        load->scan.broken = true;
    }
    config_files_done(&files);
    memory_free(directory);
    memory_free(beside);
}

static void
understand(struct config_load *load)
{
    make_targets(load);
    for (size_t i = 0; i < load->scan.count; i++) {
        prepare_section(load, i);
    }
    apply_entries(load);
    config_check(load);
}

static void
load_done(struct config_load *load)
{
    for (size_t i = 0; i < load->entry_count; i++) {
        config_secret_free(load->entries[i].value); /* any value may be a secret */
    }
    memory_free(load->entries);
    memory_free(load->last_entries);
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
    struct config_load load = {.context = {.kinds = kinds, .broker = broker}};
    char *const buffer = memory_array(CONFIG_FILE_BUFFER_BYTES, 1);
    config_problems_init(&load.problems, path);
    if (take_file(&load, path, buffer)) {
        include(&load, buffer);
        understand(&load);
    }
    memory_free(buffer);
    struct config *config = load.config;
    if (load.problems.count > 0) {
        config_problems_report(&load.problems, report, context);
        config_free(config);
        config = NULL;
    }
    load_done(&load);
    return config;
}

const char *
config_crowded_words(const struct source_config *source)
{
    return source->template != NULL
               ? "with mode \"auto\" the sources of a template poll, since what keeps the log for "
                 "one stays when its tenant has gone; with mode = \"tail\" they read the log"
               : "the first 4 sources of this server with mode \"auto\" read its log, and this is "
                 "another; with mode = \"tail\" it does too";
}

static void
broker_done(struct broker_config *broker)
{
    config_values_free(CONFIG_BROKER, broker);
    memory_free(broker->name);
}

static void
source_done(struct source_config *source)
{
    config_values_free(CONFIG_SOURCE, source);
    memory_free(source->name);
}

/* The names of these sections are values of keys as well. */
static void
topology_done(struct config *config)
{
    for (size_t i = 0; i < config->exchange_count; i++) {
        config_values_free(CONFIG_EXCHANGE, &config->exchanges[i]);
    }
    for (size_t i = 0; i < config->queue_count; i++) {
        config_values_free(CONFIG_QUEUE, &config->queues[i]);
    }
    for (size_t i = 0; i < config->binding_count; i++) {
        config_values_free(CONFIG_BINDING, &config->bindings[i]);
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

static void
http_done(struct config *config)
{
    if (config->http != NULL) {
        config_values_free(CONFIG_HTTP, config->http);
        memory_free(config->http);
    }
}

struct config *
config_ref(struct config *config)
{
    (void)atomic_fetch_add(&config->references, 1); /* returns the number before */
    return config;
}

/* What only a configuration has that was loaded; one with tenants borrows it. */
static void
loaded_done(struct config *config)
{
    config_values_free(CONFIG_GLOBAL, config);
    for (size_t i = 0; i < config->broker_count; i++) {
        broker_done(&config->brokers[i]);
    }
    for (size_t i = 0; i < config->template_count; i++) {
        source_done(&config->templates[i].source);
        template_done(&config->templates[i]);
    }
    topology_done(config);
    http_done(config);
    memory_free(config->brokers);
    memory_free(config->templates);
}

void
config_free(struct config *config)
{
    if (config == NULL || atomic_fetch_sub(&config->references, 1) > 1) {
        return;
    }
    if (config->loaded == NULL) {
        loaded_done(config);
    }
    for (size_t i = config->own_count; i < config->source_count; i++) {
        source_done(&config->sources[i]);
    }
    warnings_done(&config->warnings);
    warnings_done(&config->advice);
    memory_free(config->sources);
    config_free(config->loaded);
    memory_free(config);
}
