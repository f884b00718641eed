#include "relay/cli/templates.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "relay/config/template.h"
#include "relay/config/tenants.h"
#include "relay/ports/report.h"

static bool
is_wanted(const struct config *loaded, const struct source_template *template, const char *only)
{
    for (size_t i = 0; only != NULL && i < loaded->source_count; i++) {
        if (strcmp(loaded->sources[i].name, only) == 0) {
            return false;
        }
    }
    return only == NULL || template_matches(template, only);
}

/* False if the database could not be asked. */
static bool
ask(const struct source_template *template, struct tenants *tenants,
    const struct cli_templates_teller *teller)
{
    struct database_names names = {.count = 0};
    struct tenants_change change;
    struct error error;
    const bool good =
        template->source.kind->discover(&template->source, TENANTS_ROWS_MAX, &names, &error);
    if (good) {
        tenants_learn(tenants, template, &names, &change);
    } else {
        teller->problem(teller->context, template->source.name, error.text);
    }
    database_names_done(&names);
    return good;
}

static void
tell(const struct source_template *template, const struct tenants *tenants,
     const struct cli_templates_teller *teller)
{
    char words[700];
    size_t good = 0;
    for (size_t i = 0; i < tenants->count; i++) {
        const struct tenant *const tenant = &tenants->list[i];
        if (tenant->refusal == NULL) {
            good++;
            continue;
        }
        (void)snprintf(words, sizeof(words), "the tenant \"%s\" has no source: %s", tenant->name,
                       tenant->refusal); /* cut is fine */
        teller->problem(teller->context, template->source.name, words);
    }
    if (tenants->beyond > 0) {
        (void)snprintf(words, sizeof(words),
                       "discover_max = %u leaves out %zu tenants that the query found",
                       template->source.discover_max, tenants->beyond); /* fits */
        teller->problem(teller->context, template->source.name, words);
    }
    teller->found(teller->context, template->source.name, good);
}

struct config *
cli_templates_expand(struct config *loaded, const char *only,
                     const struct cli_templates_teller *teller)
{
    const size_t count = loaded->template_count;
    struct tenants *const tenants = memory_array(count + 1, sizeof(*tenants));
    bool *const asked = memory_array(count + 1, sizeof(*asked));
    for (size_t i = 0; i < count; i++) {
        asked[i] = is_wanted(loaded, &loaded->templates[i], only) &&
                   ask(&loaded->templates[i], &tenants[i], teller);
    }
    struct config *const config = config_with_tenants(loaded, tenants);
    for (size_t i = 0; i < count; i++) {
        if (asked[i]) {
            tell(&loaded->templates[i], &tenants[i], teller);
        }
        tenants_done(&tenants[i]);
    }
    memory_free(tenants);
    memory_free(asked);
    return config;
}

static void
report_found(void *context, const char *template, size_t tenants)
{
    report_ok(context, "source \"%s\": its query finds %zu tenant%s", template, tenants,
              tenants == 1 ? "" : "s");
}

static void
report_wrong(void *context, const char *template, const char *words)
{
    report_problem(context, "source \"%s\": %s", template, words);
}

struct config *
cli_templates_report(struct config *loaded, struct report *report)
{
    const struct cli_templates_teller teller = {report_found, report_wrong, report};
    return cli_templates_expand(loaded, NULL, &teller);
}
