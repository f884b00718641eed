#include "relay/config/value.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/listen.h"
#include "base/memory.h"
#include "base/text.h"
#include "relay/config/lexer.h" /* the marks */
#include "relay/config/problem.h"
#include "relay/config/secret.h"

/* The value of "NAME" or "NAME:-default"; borrowed, from the environment or from `spec`. */
static const char *
look_up(char *spec, struct error *reterr)
{
    char *const fallback = strstr(spec, ":-");
    if (fallback != NULL) {
        *fallback = '\0';
    }
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    if (spec[0] == '\0' || strspn(spec, letters) != strlen(spec)) {
        (void)error_set(reterr, ERROR_CONFIG, "${...} needs the name of an environment variable");
        return NULL;
    }
    const char *const value = getenv(spec);
    /* As in the shell, ":-" covers empty variables too. */
    if (fallback != NULL && (value == NULL || value[0] == '\0')) {
        return fallback + 2;
    }
    if (value == NULL) {
        (void)error_set(reterr, ERROR_CONFIG, "the environment variable %s is not set", spec);
    }
    return value;
}

/* Appends the value of a variable; `spec` has `size` bytes. Takes `text` over, returns its successor or NULL. */
static char *
append_variable(char *text, const char *spec, size_t size, struct error *reterr)
{
    char *const name = config_format("%.*s", (int)size, spec);
    const char *const value = look_up(name, reterr);
    char *const longer = value == NULL ? NULL : config_format("%s%s", text, value);
    memory_free(name);
    memory_free(text);
    return longer;
}

static char *
append_bytes(char *text, const char *bytes, size_t size)
{
    char *const longer = config_format("%s%.*s", text, (int)size, bytes);
    memory_free(text);
    return longer;
}

bool
config_is_expanded(const char *text)
{
    static const char marks[] = {CONFIG_MARK_WITHIN, CONFIG_MARK_WHOLE, '\0'};
    return strpbrk(text, marks) != NULL;
}

char *
config_expand(const char *text, struct error *reterr)
{
    static const char mark[] = {CONFIG_MARK_WITHIN, '{', '\0'};
    char *expanded = memory_string("");
    if (text[0] == CONFIG_MARK_WHOLE) {
        return append_variable(expanded, text + 1, strlen(text + 1), reterr);
    }
    while (expanded != NULL && text[0] != '\0') {
        const char *const found = strstr(text, mark);
        const char *const end = found == NULL ? NULL : strchr(found, '}');
        if (end == NULL) {
            return append_bytes(expanded, text, strlen(text));
        }
        expanded = append_bytes(expanded, text, (size_t)(found - text));
        expanded = append_variable(expanded, found + 2, (size_t)(end - found) - 2, reterr);
        text = end + 1;
    }
    return expanded;
}

char *
config_path(const char *path, const char *directory)
{
    return path[0] == '/' ? memory_string(path) : config_format("%s/%s", directory, path);
}

void
config_warn(struct config_warnings *warnings, const char *format, ...)
{
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* cut is fine */
    va_end(arguments);
    char **const texts = memory_array(warnings->count + 1, sizeof(*texts));
    if (warnings->count > 0) {
        memcpy(texts, warnings->texts, warnings->count * sizeof(*texts));
    }
    texts[warnings->count++] = memory_string(text);
    memory_free(warnings->texts);
    warnings->texts = texts;
}

static bool
parse_amount(enum config_type type, const char *text, uint64_t *ret_amount)
{
    if (type == CONFIG_SIZE) {
        return text_parse_size(text, ret_amount);
    }
    return type == CONFIG_NUMBER ? text_parse_number(text, ret_amount)
                                 : text_parse_duration(text, ret_amount);
}

static uint64_t
limit_of(enum config_type type, const char *text)
{
    uint64_t amount = 0;
    const bool good = parse_amount(type, text, &amount);
    assert(good); /* the text is from the table */
    (void)good;   /* only asserted */
    return amount;
}

/* Appends one of `"a", "b" or "c"`. */
static void
add_choice(const char *choice, bool last, char *text, size_t size)
{
    const size_t at = strlen(text);
    const char *const between = at == 0 ? "" : last ? " or " : ", ";
    const int length = snprintf(text + at, size - at, "%s\"%s\"", between, choice);
    assert(length > 0 && (size_t)length < size - at);
    (void)length; /* only asserted */
}

void
config_value_range(const struct database_kind *const *kinds, const struct config_key *key,
                   char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    for (size_t i = 0; key->type == CONFIG_KIND && kinds[i] != NULL; i++) {
        add_choice(kinds[i]->name, kinds[i + 1] == NULL, ret_text, size);
    }
    for (size_t i = 0; key->choices != NULL && key->choices[i] != NULL; i++) {
        add_choice(key->choices[i], key->choices[i + 1] == NULL, ret_text, size);
    }
    if (key->min != NULL) {
        (void)snprintf(ret_text, size, "%s to %s", key->min, key->max); /* cut is fine */
    }
}

void
config_value_owners(const struct database_kind *const *kinds, const struct config_key *key,
                    char *ret_text, size_t size)
{
    size_t left = 0;
    for (size_t i = 0; kinds[i] != NULL; i++) {
        left += database_kind_key(kinds[i], key->name) != NULL ? 1 : 0;
    }
    ret_text[0] = '\0';
    for (size_t i = 0; kinds[i] != NULL; i++) {
        if (database_kind_key(kinds[i], key->name) != NULL) {
            add_choice(kinds[i]->name, --left == 0, ret_text, size);
        }
    }
}

static bool
refuse(const struct config_context *context, const struct config_key *key, const char *text,
       struct error *reterr)
{
    char range[200];
    config_value_range(context->kinds, key, range, sizeof(range));
    uint64_t number;
    const bool unit_forgotten = (key->type == CONFIG_DURATION || key->type == CONFIG_SECONDS) &&
                                text_parse_number(text, &number);
    return error_set(reterr, ERROR_CONFIG, "expected %s%s", range,
                     unit_forgotten ? ", with a unit: us, ms, s, m, h or d" : "");
}

static bool
set_amount(const struct config_context *context, const struct config_key *key, const char *text,
           void *member, struct error *reterr)
{
    uint64_t amount;
    if (!parse_amount(key->type, text, &amount) || amount < limit_of(key->type, key->min) ||
        amount > limit_of(key->type, key->max)) {
        return refuse(context, key, text, reterr);
    }
    if (key->type == CONFIG_NUMBER) {
        *(uint32_t *)member = (uint32_t)amount;
    } else if (key->type == CONFIG_SECONDS && amount % CLOCK_S_US != 0) {
        return error_set(reterr, ERROR_CONFIG, "expected whole seconds, %s to %s", key->min,
                         key->max);
    } else if (key->type == CONFIG_SECONDS) {
        *(uint16_t *)member = (uint16_t)(amount / CLOCK_S_US);
    } else {
        *(uint64_t *)member = amount;
    }
    return true;
}

static bool
set_choice(const struct config_context *context, const struct config_key *key, const char *text,
           void *member, struct error *reterr)
{
    for (unsigned i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(key->choices[i], text) == 0) {
            *(unsigned *)member = i; /* enums without negative values are unsigned here */
            return true;
        }
    }
    return refuse(context, key, text, reterr);
}

static bool
set_truth(const struct config_context *context, const struct config_key *key, const char *text,
          void *member, struct error *reterr)
{
    const bool truth = strcmp(text, key->choices[1]) == 0;
    if (!truth && strcmp(text, key->choices[0]) != 0) {
        return refuse(context, key, text, reterr);
    }
    *(bool *)member = truth;
    return true;
}

static bool
set_kind(const struct config_context *context, const struct config_key *key, const char *text,
         void *member, struct error *reterr)
{
    const struct database_kind *const kind = database_kind_find(context->kinds, text);
    if (kind == NULL) {
        return refuse(context, key, text, reterr);
    }
    *(const struct database_kind **)member = kind;
    return true;
}

static bool
set_string(const char *text, void *member)
{
    char **const string = member;
    memory_free(*string);
    *string = memory_string(text);
    return true;
}

static bool
set_uri(const struct config_context *context, const char *text, void *member, struct error *reterr)
{
    struct broker_endpoint **const endpoint = member;
    struct broker_endpoint *taken;
    if (!context->broker->endpoint_new(text, context->directory, &taken, reterr)) {
        return false;
    }
    context->broker->endpoint_free(*endpoint);
    *endpoint = taken;
    return true;
}

static bool
set_dsn(const struct config_context *context, const struct database_kind *kind, const char *text,
        void *member, struct error *reterr)
{
    char **const dsn = member;
    char *taken;
    if (kind == NULL) {
        return true; /* unknown kind, which is reported */
    }
    if (!kind->dsn_take(text, context->directory, &taken, reterr)) {
        return false;
    }
    config_secret_free(*dsn);
    *dsn = taken;
    return true;
}

/* True if the section's kind of database has such a key and accepts the value, or is unknown. */
static bool
check_own(const struct config_context *context, const struct config_key *key,
          const struct database_kind *kind, const char *text, struct error *reterr)
{
    char owners[200];
    if (kind == NULL || !database_kinds_own(context->kinds, key->name)) {
        return true;
    }
    const struct database_key *const own = database_kind_key(kind, key->name);
    if (own == NULL) {
        config_value_owners(context->kinds, key, owners, sizeof(owners));
        return error_set(reterr, ERROR_CONFIG, "this key is for kind = %s alone", owners);
    }
    return own->check == NULL || own->check(text, reterr);
}

/* AMQP's short strings; a zero byte cannot be in a file. */
static bool
check_amqp_name(const char *text, struct error *reterr)
{
    if (strlen(text) > LIMIT_NAME_BYTES) {
        return error_set(reterr, ERROR_CONFIG, "it has %zu bytes, a broker takes %d at most",
                         strlen(text), LIMIT_NAME_BYTES);
    }
    return true;
}

static bool
set_secret_file(const struct config_context *context, const struct config_key *key,
                const char *path, void *member, struct error *reterr)
{
    char *const full = config_path(path, context->directory);
    char *const secret = config_secret_read(full, reterr);
    if (secret != NULL) {
        config_secret_warn(full, key->scope == CONFIG_HTTP ? "the token file" : "the password file",
                           context->warnings);
        (void)set_string(full, member); /* always true */
    }
    memory_free(full);
    config_secret_free(secret);
    return secret != NULL;
}

static bool
set_path(const struct config_context *context, const char *text, void *member)
{
    char *const full = config_path(text, context->directory);
    (void)set_string(full, member); /* always true */
    memory_free(full);
    return true;
}

static bool
set_command(const char *text, void *member, struct error *reterr)
{
    if (text[strspn(text, " \t\r\n")] == '\0') {
        return error_set(reterr, ERROR_CONFIG, "there is no command in it");
    }
    return set_string(text, member);
}

static bool
set_file(const struct config_context *context, const struct config_key *key, const char *path,
         void *member, struct error *reterr)
{
    char *const full = config_path(path, context->directory);
    const bool good = file_is_usable(key->name, full, reterr) && set_string(full, member);
    memory_free(full);
    return good;
}

static bool
check_listen(const char *text, struct error *reterr)
{
    struct listen_address address; /* only to see whether it is one */
    return listen_parse(text, &address, reterr);
}

bool
config_value_set(const struct config_context *context, const struct config_key *key,
                 const char *text, void *target, struct error *reterr)
{
    void *const member = (char *)target + key->offset;
    const struct database_kind *const kind =
        key->scope == CONFIG_SOURCE ? ((const struct source_config *)target)->kind : NULL;
    if (!check_own(context, key, kind, text, reterr)) {
        return false;
    }
    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_DURATION:
    case CONFIG_SECONDS:
    case CONFIG_SIZE:
        return set_amount(context, key, text, member, reterr);
    case CONFIG_CHOICE:
        return set_choice(context, key, text, member, reterr);
    case CONFIG_BOOL:
        return set_truth(context, key, text, member, reterr);
    case CONFIG_STRING:
    case CONFIG_NAME:
        return set_string(text, member);
    case CONFIG_URI:
        return set_uri(context, text, member, reterr);
    case CONFIG_KIND:
        return set_kind(context, key, text, member, reterr);
    case CONFIG_DSN:
        return set_dsn(context, kind, text, member, reterr);
    case CONFIG_AMQP_NAME:
        return check_amqp_name(text, reterr) && set_string(text, member);
    case CONFIG_PASSWORD_FILE:
        return set_secret_file(context, key, text, member, reterr);
    case CONFIG_FILE:
        return set_file(context, key, text, member, reterr);
    case CONFIG_LISTEN:
        return check_listen(text, reterr) && set_string(text, member);
    case CONFIG_PATH:
        return set_path(context, text, member);
    case CONFIG_COMMAND:
        return set_command(text, member, reterr);
    case CONFIG_BROKER_NAME:
        return true;
    }
    return false;
}

static bool
same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
config_value_same(const struct config_key *key, const void *a, const void *b)
{
    const void *const left = (const char *)a + key->offset;
    const void *const right = (const char *)b + key->offset;
    switch (key->type) {
    case CONFIG_NUMBER:
        return *(const uint32_t *)left == *(const uint32_t *)right;
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        return *(const uint64_t *)left == *(const uint64_t *)right;
    case CONFIG_SECONDS:
        return *(const uint16_t *)left == *(const uint16_t *)right;
    case CONFIG_CHOICE:
        return *(const unsigned *)left == *(const unsigned *)right;
    case CONFIG_BOOL:
        return *(const bool *)left == *(const bool *)right;
    case CONFIG_KIND:
        return *(const struct database_kind *const *)left ==
               *(const struct database_kind *const *)right;
    case CONFIG_URI:
        return ((const struct broker_config *)a)
            ->kind->endpoint_same(*(const struct broker_endpoint *const *)left,
                                  *(const struct broker_endpoint *const *)right);
    case CONFIG_STRING:
    case CONFIG_NAME:
    case CONFIG_AMQP_NAME:
    case CONFIG_PASSWORD_FILE:
    case CONFIG_PATH:
    case CONFIG_COMMAND:
    case CONFIG_FILE:
    case CONFIG_LISTEN:
    case CONFIG_DSN:
        return same_text(*(const char *const *)left, *(const char *const *)right);
    case CONFIG_BROKER_NAME:
        return true;
    }
    return false;
}

static void
copy_text(const char *const *from, char **to)
{
    *to = *from == NULL ? NULL : memory_string(*from);
}

void
config_value_copy(const struct config_key *key, const void *from, void *to)
{
    const void *const source = (const char *)from + key->offset;
    void *const target = (char *)to + key->offset;
    switch (key->type) {
    case CONFIG_NUMBER:
        *(uint32_t *)target = *(const uint32_t *)source;
        break;
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        *(uint64_t *)target = *(const uint64_t *)source;
        break;
    case CONFIG_SECONDS:
        *(uint16_t *)target = *(const uint16_t *)source;
        break;
    case CONFIG_CHOICE:
        *(unsigned *)target = *(const unsigned *)source;
        break;
    case CONFIG_BOOL:
        *(bool *)target = *(const bool *)source;
        break;
    case CONFIG_KIND:
        *(const struct database_kind **)target = *(const struct database_kind *const *)source;
        break;
    case CONFIG_STRING:
    case CONFIG_NAME:
    case CONFIG_AMQP_NAME:
    case CONFIG_PASSWORD_FILE:
    case CONFIG_PATH:
    case CONFIG_COMMAND:
    case CONFIG_FILE:
    case CONFIG_LISTEN:
    case CONFIG_DSN:
        copy_text(source, target);
        break;
    case CONFIG_URI:
    case CONFIG_BROKER_NAME:
        break;
    }
}

void
config_value_free(const struct config_key *key, void *target)
{
    void *const member = (char *)target + key->offset;
    switch (key->type) {
    case CONFIG_STRING:
    case CONFIG_NAME:
    case CONFIG_AMQP_NAME:
    case CONFIG_PASSWORD_FILE:
    case CONFIG_PATH:
    case CONFIG_FILE:
    case CONFIG_LISTEN:
        memory_free(*(char **)member);
        break;
    case CONFIG_COMMAND:
    case CONFIG_DSN:
        config_secret_free(*(char **)member); /* may contain a password */
        break;
    case CONFIG_URI:
        ((const struct broker_config *)target)
            ->kind->endpoint_free(*(struct broker_endpoint **)member);
        break;
    case CONFIG_NUMBER:
    case CONFIG_DURATION:
    case CONFIG_SECONDS:
    case CONFIG_SIZE:
    case CONFIG_CHOICE:
    case CONFIG_BOOL:
    case CONFIG_KIND:
    case CONFIG_BROKER_NAME:
        break;
    }
}

void
config_values_free(enum config_scope scope, void *target)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].scope == scope) {
            config_value_free(&config_keys[i], target);
        }
    }
}
