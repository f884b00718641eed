#include "relay/config/parse.h"

#include <confuse.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Global, because libconfuse passes no context to its callbacks, and its lexer is global anyway. */
static struct {
    struct config_problems *problems;
    config_value_fn take;
    void *context;
} parsing;

static enum config_scope
scope_of(const cfg_t *section)
{
    for (enum config_scope scope = CONFIG_BROKER; scope < CONFIG_SCOPE_COUNT; scope++) {
        if (strcmp(section->name, config_scope_word(scope)) == 0) {
            return scope;
        }
    }
    return CONFIG_GLOBAL;
}

/* Never fails: libconfuse would stop, and the rest of the file would not be checked. */
static int
take_value(cfg_t *section, cfg_opt_t *option, const char *value, void *result)
{
    const struct config_key *const key = config_key_find(scope_of(section), option->name);
    const unsigned line = (unsigned)section->line;
    /* NULL: an invalid backslash sequence; the library calls on_error. */
    if (key != NULL && value != NULL) {
        parsing.take(parsing.context, key, section->title, line, value);
    }
    *(const char **)result = "";
    return 0;
}

/* The library's message is not shown, because it quotes pieces of the file, which may be pieces of a secret. After
 * config_scan_text it finds no errors except in backslash sequences. */
static void
on_error(cfg_t *section, const char *format, va_list arguments)
{
    (void)format;    /* as said above */
    (void)arguments; /* as said above */
    config_problem_add(parsing.problems, (unsigned)section->line,
                       "a \"\\\" here begins nothing that has a meaning; for the character itself "
                       "write \"\\\\\" or use single quotes");
}

/* Every value is read as a string; value.c checks the types. A new array. */
static cfg_opt_t *
options_of(enum config_scope scope, size_t extra)
{
    cfg_opt_t *const options = memory_array(config_key_count + extra + 1, sizeof(*options));
    size_t count = 0;
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].scope == scope) {
            options[count++] =
                (cfg_opt_t)CFG_STR_CB(config_keys[i].name, NULL, CFGF_NODEFAULT, take_value);
        }
    }
    return options;
}

static size_t
count_of(const cfg_opt_t *options)
{
    size_t count = 0;
    while (options[count].name != NULL) {
        count++;
    }
    return count;
}

bool
config_parse_text(const char *text, struct config_problems *problems, config_value_fn take,
                  void *context)
{
    parsing.problems = problems;
    parsing.take = take;
    parsing.context = context;
    cfg_opt_t *of_section[CONFIG_SCOPE_COUNT] = {NULL};
    cfg_opt_t *const options = options_of(CONFIG_GLOBAL, CONFIG_SCOPE_COUNT - 1);
    size_t count = count_of(options);
    for (enum config_scope scope = CONFIG_BROKER; scope < CONFIG_SCOPE_COUNT; scope++) {
        of_section[scope] = options_of(scope, 0);
        options[count++] =
            (cfg_opt_t)CFG_SEC(config_scope_word(scope), of_section[scope],
                               CFGF_MULTI | (config_scope_is_named(scope) ? CFGF_TITLE : 0));
    }
    cfg_t *const root = cfg_init(options, CFGF_NONE);
    if (root == NULL) {
        abort(); /* memory is out; base/memory.h says why that ends the process */
    }
    (void)cfg_set_error_function(root, on_error); /* returns the earlier one: none */
    const bool good = cfg_parse_buf(root, text) == CFG_SUCCESS;
    (void)cfg_free(root); /* cannot fail here */
    memory_free(options);
    for (enum config_scope scope = CONFIG_BROKER; scope < CONFIG_SCOPE_COUNT; scope++) {
        memory_free(of_section[scope]);
    }
    return good;
}
