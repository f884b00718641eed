/* relay/config/template.h - a source whose name has a star, "shop-*", stands for one source for each tenant. Here: what
 * such a section may have, and the configuration in which each tenant has a source. It takes no part in finding the
 * tenants (tenants.h). */
#ifndef RELAY_CONFIG_TEMPLATE_H
#define RELAY_CONFIG_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/config/config.h"

struct config_key;
struct tenants;

/* A value of a template in which DATABASE_TENANT stands. */
struct template_text {
    const struct config_key *key;
    char *text;
};

/* True for the name of a template. */
bool template_is(const char *name);

/* True if values of this key may have DATABASE_TENANT in them. Not commands: they are for a shell. */
bool template_may_vary(const struct config_key *key);

/* True if a key is about a template itself, so that its tenants have it not. */
bool template_owns(const struct config_key *key);

/* Remembers a value with DATABASE_TENANT in it. */
void template_add_text(struct source_template *template, const struct config_key *key,
                       const char *text);

/* The name of the tenant's source; for memory_free. */
char *template_source_name(const struct source_template *template, const char *tenant);

/* True if a source of this name may be a tenant's. */
bool template_matches(const struct source_template *template, const char *source);

/* The configuration with a source for each tenant: `tenants` are those of each template of `loaded`, in their order. A
 * tenant that cannot have one is marked with the reason, and concerns no other. Keeps a reference of `loaded`. Without
 * templates it is `loaded` itself, once more. For config_free. */
struct config *config_with_tenants(struct config *loaded, struct tenants *tenants);

/* Frees everything within. */
void template_done(struct source_template *template);

#endif
