#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "relay/config/load.h"
#include "relay/config/template.h"
#include "relay/config/tls.h"
#include "relay/config/value.h"

#define CONTROL_MAX_BYTES 107 /* sun_path of struct sockaddr_un, less its zero byte */

static const struct broker_config *
find_broker(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->broker_count; i++) {
        if (strcmp(config->brokers[i].name, name) == 0) {
            return &config->brokers[i];
        }
    }
    return NULL;
}

static const char *
nearest_broker(const struct config *config, const char *name)
{
    const char *nearest = NULL;
    for (size_t i = 0; i < config->broker_count; i++) {
        const char *const pair[] = {nearest == NULL ? config->brokers[i].name : nearest,
                                    config->brokers[i].name};
        nearest = text_nearest(name, pair, 2);
    }
    return nearest;
}

void
config_connect_broker(struct config_load *load, size_t section,
                      const struct broker_config **ret_broker)
{
    const struct config_entry *const entry = config_load_entry(load, section, "broker");
    if (entry == NULL || entry->value == NULL) {
        return; /* reported, or not needed */
    }
    *ret_broker = find_broker(load->config, entry->value);
    if (*ret_broker != NULL || load->scan.broken) {
        return;
    }
    const char *const nearest = nearest_broker(load->config, entry->value);
    config_load_problem(load, section, entry->line, "there is no broker \"%s\"%s%s%s", entry->value,
                        nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
                        nearest == NULL ? "" : "\"?");
}

/* An outbox or a server: the kind of database, and where it is. */
struct place {
    const struct database_kind *kind;
    char *text; /* NULL: not known, or no source */
};

static struct place
place_of(const struct config_load *load, size_t section)
{
    const struct source_config *const source = load->targets[section];
    if (load->scan.sections[section].scope != CONFIG_SOURCE || source->dsn == NULL) {
        return (struct place){0};
    }
    return (struct place){source->kind, source->kind->dsn_place(source->dsn)};
}

static bool
same_place(const struct place *a, const struct place *b)
{
    return a->text != NULL && b->text != NULL && a->kind == b->kind &&
           strcmp(a->text, b->text) == 0;
}

/* Of two sources with the same outbox each would wait forever for the other's ownership. */
static void
check_place(struct config_load *load, const struct place *places, size_t section)
{
    for (size_t i = 0; i < section; i++) {
        const struct config_section *const other = &load->scan.sections[i];
        if (same_place(&places[i], &places[section])) {
            load->problems.file = load->scan.sections[section].file;
            char *const where = config_problems_line(&load->problems, other->file, other->line);
            config_load_problem(load, section, config_load_entry(load, section, "dsn")->line,
                                "dsn leads to the same outbox as that of source \"%s\" in %s",
                                other->title, where);
            memory_free(where);
            return;
        }
    }
}

static void
check_places(struct config_load *load)
{
    struct place *const places = memory_array(load->scan.count, sizeof(*places));
    for (size_t i = 0; i < load->scan.count; i++) {
        places[i] = place_of(load, i);
        check_place(load, places, i);
    }
    for (size_t i = 0; i < load->scan.count; i++) {
        memory_free(places[i].text);
    }
    memory_free(places);
}

static void
check_order(struct config_load *load, size_t section, const char *low_key, uint64_t low,
            const char *high_key, uint64_t high)
{
    const struct config_entry *const low_entry = config_load_entry(load, section, low_key);
    const struct config_entry *const high_entry = config_load_entry(load, section, high_key);
    if (low > high) {
        const struct config_entry *const entry = high_entry != NULL ? high_entry : low_entry;
        char low_text[TEXT_UNIT_BYTES];
        char high_text[TEXT_UNIT_BYTES];
        text_format_duration(low, low_text);
        text_format_duration(high, high_text);
        config_load_problem(load, section, entry == NULL ? 0 : entry->line,
                            "%s = %s is longer than %s = %s", low_key, low_text, high_key,
                            high_text);
    }
}

static void
check_own_keys(struct config_load *load, size_t section, const struct source_config *source)
{
    struct error error;
    const char *key;
    if (source->kind != NULL && source->kind->keys_check != NULL &&
        !source->kind->keys_check(source, &key, &error)) {
        const struct config_entry *const entry = config_load_entry(load, section, key);
        config_load_problem(load, section, entry == NULL ? 0 : entry->line, "%s", error.text);
    }
}

static void
check_broker_used(struct config_load *load, const struct broker_config *broker)
{
    for (size_t i = 0; i < load->config->source_count; i++) {
        if (load->config->sources[i].broker == broker) {
            return;
        }
    }
    for (size_t i = 0; i < load->config->template_count; i++) {
        if (load->config->templates[i].source.broker == broker) {
            return;
        }
    }
    config_warn(&load->config->warnings, "no source names the broker \"%s\"", broker->name);
}

/* Two places for one password: which of them counts is not to be guessed. */
static void
check_password(struct config_load *load, size_t section)
{
    const struct config_entry *const file = config_load_entry(load, section, "password_file");
    const struct config_entry *const command = config_load_entry(load, section, "password_command");
    if (file != NULL && command != NULL) {
        config_load_problem(load, section, command->line,
                            "password_command and password_file are both given: leave one out");
    }
}

/* True if the key is given, with the tenant's name in it. */
static bool
varies(const struct config_load *load, size_t section, const char *name)
{
    const struct config_entry *const entry = config_load_entry(load, section, name);
    return entry != NULL && (entry->value == NULL || strstr(entry->value, DATABASE_TENANT) != NULL);
}

/* A slot belongs to the whole server. */
static void
check_template(struct config_load *load, size_t section)
{
    const struct config_entry *const discover = config_load_entry(load, section, "discover");
    const struct config_entry *const dsn = config_load_entry(load, section, "dsn");
    const struct config_entry *const slot = config_load_entry(load, section, "slot");
    if (discover == NULL && !load->scan.broken) {
        config_load_problem(
            load, section, 0,
            "discover is missing: the query for the names that the star stands for");
    } else if (discover != NULL && discover->value != NULL &&
               discover->value[strspn(discover->value, " \t\r\n")] == '\0') {
        config_load_problem(load, section, discover->line, "discover: there is no query in it");
    }
    if (dsn != NULL && !varies(load, section, "dsn")) {
        config_load_problem(load, section, dsn->line,
                            "dsn: it leads all tenants to the same outbox: write " DATABASE_TENANT
                            " where the tenant's name belongs");
    }
    if (slot != NULL && !varies(load, section, "slot")) {
        config_load_problem(load, section, slot->line,
                            "slot: all tenants would have the same: write " DATABASE_TENANT
                            " where the tenant's name belongs");
    }
}

static void
check_no_template(struct config_load *load, size_t section)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *const key = &config_keys[i];
        const struct config_entry *const entry = config_load_entry(load, section, key->name);
        if (template_owns(key) && entry != NULL) {
            config_load_problem(load, section, entry->line,
                                "%s is for a template: its name has a \"*\" where that of the "
                                "tenant belongs",
                                key->name);
        }
    }
}

static void
check_section(struct config_load *load, size_t section)
{
    if (load->scan.sections[section].scope == CONFIG_SOURCE) {
        struct source_config *const source = load->targets[section];
        config_connect_broker(load, section, &source->broker);
        check_order(load, section, "retry_initial", source->retry_initial_us, "retry_max",
                    source->retry_max_us);
        check_own_keys(load, section, source);
        check_password(load, section);
        config_tls_check_source(load, section);
        if (template_is(source->name)) {
            check_template(load, section);
        } else {
            check_no_template(load, section);
        }
    } else if (load->scan.sections[section].scope == CONFIG_BROKER) {
        const struct broker_config *const broker = load->targets[section];
        check_order(load, section, "reconnect_initial", broker->reconnect_initial_us,
                    "reconnect_max", broker->reconnect_max_us);
        check_password(load, section);
        config_tls_check_broker(load, section);
    } else if (load->scan.sections[section].scope == CONFIG_HTTP) {
        config_check_http(load, section);
    } else {
        config_check_topology(load, section);
    }
}

static bool
is_auto(const struct config_load *load, size_t section)
{
    const struct source_config *const source = load->targets[section];
    return load->scan.sections[section].scope == CONFIG_SOURCE && source->dsn != NULL &&
           source->mode == SOURCE_MODE_AUTO && !template_is(source->name);
}

/* Which sources are crowded depends on the configuration alone, so that a relay that stands by decides the same. */
static void
find_crowded(struct config_load *load)
{
    struct place *const servers = memory_array(load->scan.count, sizeof(*servers));
    for (size_t i = 0; i < load->scan.count; i++) {
        struct source_config *const source = load->targets[i];
        size_t before = 0;
        if (!is_auto(load, i)) {
            continue;
        }
        servers[i] = (struct place){source->kind, source->kind->dsn_server(source->dsn)};
        for (size_t j = 0; j < i && before < CONFIG_AUTO_TAILS; j++) {
            before += same_place(&servers[j], &servers[i]) ? 1 : 0;
        }
        source->crowded = before == CONFIG_AUTO_TAILS;
    }
    for (size_t i = 0; i < load->scan.count; i++) {
        memory_free(servers[i].text);
    }
    memory_free(servers);
}

/* A socket's address has little room for its path. */
static void
check_control(struct config_load *load)
{
    const char *const path = load->config->control;
    if (path != NULL && strlen(path) > CONTROL_MAX_BYTES) {
        config_load_problem(load, 0, config_load_entry(load, 0, "control")->line,
                            "control: the path %s has %zu bytes, a socket takes %d at most", path,
                            strlen(path), CONTROL_MAX_BYTES);
    }
}

static void
check_included(struct config_load *load)
{
    const struct config *const config = load->config;
    if (config->include != NULL && load->included_count == 0) {
        config_warn(&load->config->warnings, "include: no file in %s ends in \".conf\"",
                    config->include);
    }
    if (config->include != NULL && config->source_count + config->template_count == 0 &&
        !load->scan.broken) {
        config_warn(&load->config->warnings, "there is no source section: nothing is relayed");
    }
}

void
config_check(struct config_load *load)
{
    for (size_t i = 0; i < load->scan.count; i++) {
        check_section(load, i);
    }
    check_places(load);
    find_crowded(load);
    check_control(load);
    check_included(load);
    load->problems.file = 0;
    if (load->config->source_count + load->config->template_count == 0 &&
        load->config->include == NULL && !load->scan.broken) {
        config_problem_add(&load->problems, 0, "there is no source section");
    }
    if (load->config->broker_count == 0 && !load->scan.broken) {
        config_problem_add(&load->problems, 0, "there is no broker section");
    }
    for (size_t i = 0; i < load->config->broker_count; i++) {
        check_broker_used(load, &load->config->brokers[i]);
    }
}
