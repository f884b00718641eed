#include "relay/config/template.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/config/keys.h"
#include "relay/config/load.h"
#include "relay/config/problem.h"
#include "relay/config/secret.h"
#include "relay/config/tenants.h"
#include "relay/config/value.h"

bool
template_is(const char *name)
{
    return strchr(name, '*') != NULL;
}

bool
template_may_vary(const struct config_key *key)
{
    static const char *const names[] = {"dsn", "exchange", "slot", "publication", "password_file"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (key->scope == CONFIG_SOURCE && strcmp(key->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool
template_owns(const struct config_key *key)
{
    static const char own[] = "discover";
    return key->scope == CONFIG_SOURCE && strncmp(key->name, own, strlen(own)) == 0;
}

void
template_add_text(struct source_template *template, const struct config_key *key, const char *text)
{
    struct template_text *const texts = memory_array(template->text_count + 1, sizeof(*texts));
    for (size_t i = 0; i < template->text_count; i++) {
        texts[i] = template->texts[i];
    }
    texts[template->text_count++] = (struct template_text){key, memory_string(text)};
    memory_free(template->texts);
    template->texts = texts;
}

void
template_done(struct source_template *template)
{
    for (size_t i = 0; i < template->text_count; i++) {
        config_secret_free(template->texts[i].text); /* may be a dsn */
    }
    memory_free(template->texts);
    memory_free(template->directory);
}

char *
template_source_name(const struct source_template *template, const char *tenant)
{
    const char *const name = template->source.name;
    const char *const star = strchr(name, '*');
    return config_format("%.*s%s%s", (int)(star - name), name, tenant, star + 1);
}

bool
template_matches(const struct source_template *template, const char *source)
{
    const char *const name = template->source.name;
    const char *const star = strchr(name, '*');
    const size_t before = (size_t)(star - name);
    const size_t after = strlen(star + 1);
    const size_t length = strlen(source);
    return length > before + after && strncmp(source, name, before) == 0 &&
           strcmp(source + length - after, star + 1) == 0;
}

/* ---- one tenant's source -------------------------------------------------------------------------------- */

/* `text` with the name in each place where it belongs; for config_secret_free. */
static char *
fill_in(const char *text, const char *tenant)
{
    char *filled = memory_string("");
    while (text != NULL) {
        const char *const at = strstr(text, DATABASE_TENANT);
        char *const longer =
            at == NULL ? config_format("%s%s", filled, text)
                       : config_format("%s%.*s%s", filled, (int)(at - text), text, tenant);
        config_secret_free(filled);
        filled = longer;
        text = at == NULL ? NULL : at + strlen(DATABASE_TENANT);
    }
    return filled;
}

static bool
is_text(const struct source_template *template, const struct config_key *key)
{
    for (size_t i = 0; i < template->text_count; i++) {
        if (template->texts[i].key == key) {
            return true;
        }
    }
    return false;
}

/* What all tenants have; what is about the template has its defaults, so that a change of it is none of its tenants. */
static void
copy_values(const struct config_context *context, const struct source_template *template,
            struct source_config *source)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *const key = &config_keys[i];
        struct error error;
        if (key->scope != CONFIG_SOURCE || is_text(template, key)) {
            continue;
        }
        if (!template_owns(key)) {
            config_value_copy(key, &template->source, source);
        } else if (key->default_value != NULL &&
                   !config_value_set(context, key, key->default_value, source, &error)) {
            abort(); /* a mistake in keys.c */
        }
    }
}

static bool
set_texts(const struct config_context *context, const struct source_template *template,
          const char *tenant, struct source_config *source, struct error *reterr)
{
    bool good = true;
    for (size_t i = 0; i < template->text_count && good; i++) {
        const struct template_text *const text = &template->texts[i];
        struct error error;
        char *const value = fill_in(text->text, tenant);
        good = config_value_set(context, text->key, value, source, &error) ||
               error_set(reterr, ERROR_CONFIG, "%s: %s", text->key->name, error.text);
        config_secret_free(value);
    }
    return good;
}

static void
source_done(struct source_config *source)
{
    config_values_free(CONFIG_SOURCE, source);
    memory_free(source->name);
}

/* Takes over the name. False with *reterr, and then there is nothing to free. */
static bool
make_source(const struct source_template *template, const char *tenant, char *name,
            struct config_warnings *warnings, struct source_config *ret_source,
            struct error *reterr)
{
    const struct config_context context = {
        .kinds = template->kinds,
        .directory = template->directory,
        .warnings = warnings,
    };
    struct source_config source = {
        .name = name,
        .broker = template->source.broker,
        .template = template->source.name,
        .crowded = template->source.mode == SOURCE_MODE_AUTO,
        .phase_us = config_phase_us(name),
    };
    const struct database_kind *const kind = template->source.kind;
    copy_values(&context, template, &source);
    if ((kind->tenant_fits == NULL || kind->tenant_fits(template->source.dsn, tenant, reterr)) &&
        set_texts(&context, template, tenant, &source, reterr)) {
        *ret_source = source;
        return true;
    }
    source_done(&source);
    return false;
}

/* ---- all of them ---------------------------------------------------------------------------------------- */

/* A source by one of its texts. */
struct entry {
    char *text;
    const struct source_config *source;
};

/* In the order of the texts: a look at all sources for each of ten thousand would take seconds. */
struct index {
    struct entry *entries;
    size_t count;
};

/* Sources that were made so far. */
struct making {
    struct config *config;
    struct index names;
    struct index places; /* the outbox of each, if it is known; the texts belong to it */
};

/* How many texts are less. */
static size_t
index_rank(const struct index *index, const char *text)
{
    size_t low = 0;
    size_t high = index->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(index->entries[middle].text, text) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* NULL: there is none. */
static const struct source_config *
index_find(const struct index *index, const char *text)
{
    const size_t at = index_rank(index, text);
    const bool found = at < index->count && strcmp(index->entries[at].text, text) == 0;
    return found ? index->entries[at].source : NULL;
}

static void
index_add(struct index *index, char *text, const struct source_config *source)
{
    const size_t at = index_rank(index, text);
    memmove(&index->entries[at + 1], &index->entries[at],
            (index->count - at) * sizeof(*index->entries));
    index->entries[at] = (struct entry){text, source};
    index->count++;
}

/* The outbox to which its dsn leads; NULL: not known. For memory_free. */
static char *
place_of(const struct source_config *source)
{
    char *const place = source->kind->dsn_place(source->dsn);
    char *const whole = place == NULL ? NULL : config_format("%s %s", source->kind->name, place);
    memory_free(place);
    return whole;
}

static bool
is_free(const struct making *making, const struct source_config *source, const char *place,
        struct error *reterr)
{
    const struct source_config *const namesake = index_find(&making->names, source->name);
    const struct source_config *const other =
        place == NULL ? NULL : index_find(&making->places, place);
    if (namesake != NULL) {
        return error_set(reterr, ERROR_CONFIG, "there is a source \"%s\" already%s%s%s",
                         namesake->name, namesake->template == NULL ? "" : ", of the template \"",
                         namesake->template == NULL ? "" : namesake->template,
                         namesake->template == NULL ? "" : "\"");
    }
    return other == NULL ||
           error_set(reterr, ERROR_CONFIG,
                     "its dsn leads to the same outbox as that of source \"%s\"", other->name);
}

/* There is room. Takes over what belongs to the source, and the place. */
static void
put(struct making *making, const struct source_config *source, char *place)
{
    struct config *const config = making->config;
    struct source_config *const kept = &config->sources[config->source_count++];
    *kept = *source;
    index_add(&making->names, kept->name, kept);
    if (place != NULL) {
        index_add(&making->places, place, kept);
    }
}

static void
add_source(struct making *making, const struct source_template *template, struct tenant *tenant)
{
    struct config *const config = making->config;
    struct source_config source;
    struct error error;
    if (!make_source(template, tenant->name, template_source_name(template, tenant->name),
                     &config->warnings, &source, &error)) {
        tenant_refuse(tenant, error.text);
        return;
    }
    char *const place = place_of(&source);
    if (!is_free(making, &source, place, &error)) {
        tenant_refuse(tenant, error.text);
        memory_free(place);
        source_done(&source);
        return;
    }
    tenant_accept(tenant);
    put(making, &source, place);
}

static void
add_own(struct making *making, const struct config *loaded)
{
    struct config *const config = making->config;
    for (size_t i = 0; i < loaded->source_count; i++) {
        const struct source_config *const source = &loaded->sources[i];
        put(making, source, place_of(source));
    }
    config->own_count = loaded->source_count;
    for (size_t i = 0; i < loaded->warnings.count; i++) {
        config_warn(&config->warnings, "%s", loaded->warnings.texts[i]);
    }
    for (size_t i = 0; i < loaded->advice.count; i++) {
        config_warn(&config->advice, "%s", loaded->advice.texts[i]);
    }
}

static struct config *
begin(struct config *loaded)
{
    struct config *const config = memory_array(1, sizeof(*config));
    *config = *loaded;
    atomic_init(&config->references, 1);
    config->source_count = 0;
    config->loaded = config_ref(loaded);
    config->warnings = config->advice = (struct config_warnings){.count = 0};
    return config;
}

/* The configuration stays. */
static void
making_done(struct making *making)
{
    for (size_t i = 0; i < making->places.count; i++) {
        memory_free(making->places.entries[i].text);
    }
    memory_free(making->places.entries);
    memory_free(making->names.entries);
}

struct config *
config_with_tenants(struct config *loaded, struct tenants *tenants)
{
    assert(loaded->loaded == NULL);
    if (loaded->template_count == 0) {
        return config_ref(loaded);
    }
    size_t room = loaded->source_count + 1;
    for (size_t i = 0; i < loaded->template_count; i++) {
        room += tenants[i].count;
    }
    struct making making = {
        .config = begin(loaded),
        .names = {.entries = memory_array(room, sizeof(*making.names.entries))},
        .places = {.entries = memory_array(room, sizeof(*making.places.entries))},
    };
    making.config->sources = memory_array(room, sizeof(*making.config->sources));
    add_own(&making, loaded);
    for (size_t i = 0; i < loaded->template_count; i++) {
        for (size_t j = 0; j < tenants[i].count; j++) {
            if (tenants[i].list[j].usable) {
                add_source(&making, &loaded->templates[i], &tenants[i].list[j]);
            }
        }
    }
    making_done(&making);
    return making.config;
}
