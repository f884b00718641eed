#include "relay/config/same.h"

#include <string.h>

#include "relay/config/keys.h"
#include "relay/config/value.h"

static bool
same_values(enum config_scope scope, const void *a, const void *b)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].scope == scope && !config_value_same(&config_keys[i], a, b)) {
            return false;
        }
    }
    return true;
}

static bool
same_broker(const struct broker_config *a, const struct broker_config *b)
{
    return strcmp(a->name, b->name) == 0 && same_values(CONFIG_BROKER, a, b);
}

bool
config_same_source(const struct source_config *a, const struct source_config *b)
{
    return strcmp(a->name, b->name) == 0 && same_values(CONFIG_SOURCE, a, b) &&
           same_broker(a->broker, b->broker);
}

bool
config_same_http(const struct config *a, const struct config *b)
{
    if (a->http == NULL || b->http == NULL) {
        return a->http == b->http;
    }
    return same_values(CONFIG_HTTP, a->http, b->http);
}
