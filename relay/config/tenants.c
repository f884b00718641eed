#include "relay/config/tenants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/config/template.h"

#define SHOWN_MAX 80 /* bytes of a name that cannot be used */
#define REFUSAL_BYTES 400

void
tenant_refuse(struct tenant *tenant, const char *why)
{
    if (tenant->refusal == NULL || strcmp(tenant->refusal, why) != 0) {
        memory_free(tenant->refusal);
        tenant->refusal = memory_string(why);
        tenant->told = false;
    }
}

void
tenant_accept(struct tenant *tenant)
{
    memory_free(tenant->refusal);
    tenant->refusal = NULL;
    tenant->told = false;
}

static void
tenant_done(struct tenant *tenant)
{
    memory_free(tenant->name);
    memory_free(tenant->refusal);
}

void
tenants_done(struct tenants *tenants)
{
    for (size_t i = 0; i < tenants->count; i++) {
        tenant_done(&tenants->list[i]);
    }
    memory_free(tenants->list);
    *tenants = (struct tenants){.count = 0};
}

size_t
tenants_refused(const struct tenants *tenants)
{
    size_t refused = tenants->unusable + tenants->beyond;
    for (size_t i = 0; i < tenants->usable; i++) {
        refused += tenants->list[i].refusal != NULL ? 1 : 0;
    }
    return refused;
}

/* ---- names ---------------------------------------------------------------------------------------------- */

/* False with the reason. A name that begins with a dot might lead a password_file out of its directory. */
static bool
check_name(const struct source_template *template, const char *name, char ret_why[REFUSAL_BYTES])
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const char *why = NULL;
    if (name == NULL) {
        why = "the query gave NULL";
    } else if (name[0] == '\0') {
        why = "it is empty";
    } else if (name[strspn(name, letters)] != '\0') {
        why = "it has other characters than letters, digits, \"_\", \"-\" and \".\"";
    } else if (name[0] == '.') {
        why = "it begins with a dot";
    }
    if (why != NULL) {
        (void)snprintf(ret_why, REFUSAL_BYTES, "%s", why); /* fits */
        return false;
    }
    const size_t length = strlen(name) + strlen(template->source.name) - 1;
    if (length > CONFIG_NAME_MAX) {
        (void)snprintf(ret_why, REFUSAL_BYTES,
                       "the name of its source would have %zu characters, %d are the most", length,
                       CONFIG_NAME_MAX); /* fits */
    }
    return length <= CONFIG_NAME_MAX;
}

/* A name as it can be logged. A new string. */
static char *
shown(const char *name)
{
    if (name == NULL) {
        return memory_string("NULL");
    }
    char text[SHOWN_MAX + 4];
    (void)snprintf(text, sizeof(text), "%.*s%s", SHOWN_MAX, name,
                   strlen(name) > SHOWN_MAX ? "..." : ""); /* cut is meant */
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f) {
            *at = '?';
        }
    }
    return memory_string(text);
}

static int
compare(const void *a, const void *b)
{
    const char *const left = *(const char *const *)a;
    const char *const right = *(const char *const *)b;
    if (left == NULL || right == NULL) {
        return (right == NULL ? 1 : 0) - (left == NULL ? 1 : 0);
    }
    return strcmp(left, right);
}

/* ---- an answer ------------------------------------------------------------------------------------------ */

/* An answer while it is taken: its good names, sorted and each once; and the tenants of the future. */
struct learning {
    struct tenants *tenants; /* those before */
    const char **names;
    size_t count;
    bool *known; /* for each name: it has an entry */
    struct tenants next;
    struct tenant *unusable; /* not yet in the list */
    size_t unusable_count;
};

/* The same name with the same reason was there before: then it was told. */
static bool
was_told(const struct tenants *tenants, const char *name, const char *why)
{
    for (size_t i = tenants->usable; i < tenants->count; i++) {
        if (strcmp(tenants->list[i].name, name) == 0 &&
            strcmp(tenants->list[i].refusal, why) == 0) {
            return tenants->list[i].told;
        }
    }
    return false;
}

static void
add_unusable(struct learning *learning, const char *name, const char *why)
{
    learning->next.unusable++;
    if (learning->unusable_count == TENANTS_UNUSABLE_MAX) {
        return;
    }
    struct tenant tenant = {.name = shown(name)};
    tenant_refuse(&tenant, why);
    tenant.told = was_told(learning->tenants, tenant.name, why);
    learning->unusable[learning->unusable_count++] = tenant;
}

/* Sorts the good names out. */
static void
sort(struct learning *learning, const struct source_template *template,
     const struct database_names *answer)
{
    const char **const all = memory_array(answer->count + 1, sizeof(*all));
    for (size_t i = 0; i < answer->count; i++) {
        all[i] = answer->names[i];
    }
    qsort(all, answer->count, sizeof(*all), compare);
    learning->names = memory_array(answer->count + 1, sizeof(*learning->names));
    learning->known = memory_array(answer->count + 1, sizeof(*learning->known));
    for (size_t i = 0; i < answer->count; i++) {
        char why[REFUSAL_BYTES];
        const bool again = i > 0 && compare(&all[i - 1], &all[i]) == 0;
        if (!check_name(template, all[i], why)) {
            if (!again) {
                add_unusable(learning, all[i], why);
            }
        } else if (!again) {
            learning->names[learning->count++] = all[i];
        } else if (i < 2 || compare(&all[i - 2], &all[i]) != 0) {
            add_unusable(learning, all[i], "the query gave it twice: it has one source");
        }
    }
    memory_free(all);
}

/* Moves the entry. */
static void
keep(struct learning *learning, struct tenant *tenant, bool missing)
{
    struct tenant *const kept = &learning->next.list[learning->next.usable++];
    *kept = *tenant;
    kept->missing = missing;
    tenant->name = tenant->refusal = NULL;
}

/* Those who were there. */
static void
keep_present(struct learning *learning, struct tenants_change *change)
{
    for (size_t i = 0; i < learning->tenants->usable; i++) {
        struct tenant *const tenant = &learning->tenants->list[i];
        const char *const name = tenant->name;
        const char **const found =
            bsearch(&name, learning->names, learning->count, sizeof(*learning->names), compare);
        if (found != NULL) {
            learning->known[found - learning->names] = true;
            keep(learning, tenant, false);
        } else if (!tenant->missing || learning->next.emptied) {
            keep(learning, tenant, !learning->next.emptied);
        } else {
            change->removed++;
        }
    }
}

static void
add_new(struct learning *learning, size_t max, struct tenants_change *change)
{
    for (size_t i = 0; i < learning->count; i++) {
        if (learning->known[i]) {
            continue;
        }
        if (learning->next.usable >= max) {
            learning->next.beyond++;
            continue;
        }
        learning->next.list[learning->next.usable++] =
            (struct tenant){.name = memory_string(learning->names[i]), .usable = true};
        change->added++;
    }
}

static int
compare_tenants(const void *a, const void *b)
{
    return strcmp(((const struct tenant *)a)->name, ((const struct tenant *)b)->name);
}

void
tenants_learn(struct tenants *tenants, const struct source_template *template,
              const struct database_names *answer, struct tenants_change *ret_change)
{
    struct learning learning = {.tenants = tenants};
    *ret_change = (struct tenants_change){.added = 0};
    learning.unusable = memory_array(TENANTS_UNUSABLE_MAX, sizeof(*learning.unusable));
    sort(&learning, template, answer);
    learning.next.list = memory_array(tenants->usable + learning.count + TENANTS_UNUSABLE_MAX,
                                      sizeof(*learning.next.list));
    learning.next.emptied = learning.count == 0 && tenants->usable > 0;
    keep_present(&learning, ret_change);
    add_new(&learning, template->source.discover_max, ret_change);
    qsort(learning.next.list, learning.next.usable, sizeof(*learning.next.list), compare_tenants);
    learning.next.count = learning.next.usable;
    for (size_t i = 0; i < learning.unusable_count; i++) {
        learning.next.list[learning.next.count++] = learning.unusable[i];
    }
    tenants_done(tenants);
    *tenants = learning.next;
    memory_free(learning.unusable);
    memory_free(learning.names);
    memory_free(learning.known);
}
