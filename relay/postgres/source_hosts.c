#include "relay/postgres/source_hosts.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/memory.h"
#include "base/net/resolve.h"

static const char *
option(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0) {
            return options->val != NULL && options->val[0] != '\0' ? options->val : NULL;
        }
    }
    return NULL;
}

static size_t
list_length(const char *list)
{
    size_t length = list != NULL;
    for (; list != NULL && *list != '\0'; list++) {
        length += *list == ',';
    }
    return length;
}

/* A single port is for all hosts. */
static char *
list_element(const char *list, size_t index)
{
    if (list == NULL) {
        return NULL;
    }
    for (size_t i = list_length(list) == 1 ? 0 : index; i > 0; i--) {
        list += strcspn(list, ",") + 1;
    }
    char *element = memory_string(list);
    element[strcspn(element, ",")] = '\0';
    return element;
}

/* libpq accepts one port for all hosts, or one for each; and one name for each address, or none. */
static bool
fill(struct pg_hosts *hosts, const PQconninfoOption *options, struct error *reterr)
{
    const char *names = option(options, "host");
    const char *addresses = option(options, "hostaddr");
    const char *ports = option(options, "port");
    const size_t name_count = list_length(names);
    const size_t count = addresses != NULL ? list_length(addresses) : name_count;
    const bool names_fit = names == NULL || name_count == count;
    if (!names_fit || count > PG_HOSTS_MAX ||
        (list_length(ports) > 1 && list_length(ports) != count)) {
        return error_set(reterr, ERROR_CONFIG,
                         "the dsn names %zu hosts, %zu addresses and %zu ports: they do not fit",
                         name_count, list_length(addresses), list_length(ports));
    }
    hosts->count = count;
    for (size_t i = 0; i < count; i++) {
        hosts->hosts[i].name = list_element(names, i);
        hosts->hosts[i].address = list_element(addresses, i);
        hosts->hosts[i].port = list_element(ports, i);
    }
    return true;
}

/* libpq's message about a dsn may quote part of the password, so it is not shown. */
bool
pg_hosts_init(struct pg_hosts *hosts, const char *dsn, struct error *reterr)
{
    char *words = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &words);
    PQfreemem(words);
    *hosts = (struct pg_hosts){.count = 0};
    if (options == NULL) {
        return error_set(reterr, ERROR_CONFIG,
                         "the dsn is neither \"name=value …\" with libpq's names nor "
                         "postgresql://…");
    }
    const bool filled = fill(hosts, options, reterr);
    PQconninfoFree(options);
    return filled;
}

void
pg_hosts_skip(struct pg_hosts *hosts)
{
    resolve_free(hosts->resolve);
    hosts->resolve = NULL;
}

void
pg_hosts_rewind(struct pg_hosts *hosts)
{
    pg_hosts_skip(hosts);
    if (hosts->addresses != NULL) {
        freeaddrinfo(hosts->addresses);
    }
    hosts->addresses = NULL;
    hosts->address = NULL;
    hosts->next = 0;
}

void
pg_hosts_done(struct pg_hosts *hosts)
{
    pg_hosts_rewind(hosts);
    for (size_t i = 0; i < hosts->count; i++) {
        memory_free(hosts->hosts[i].name);
        memory_free(hosts->hosts[i].address);
        memory_free(hosts->hosts[i].port);
    }
    hosts->count = 0;
}

static const struct pg_host *
current(const struct pg_hosts *hosts)
{
    return hosts->count > 0 ? &hosts->hosts[hosts->next - 1] : NULL;
}

static bool
needs_look_up(const struct pg_host *host)
{
    return host->address == NULL && host->name[0] != '\0' && host->name[0] != '/' &&
           host->name[0] != '@';
}

static enum pg_hosts_step
target_is(const struct pg_host *host, const char *address, struct pg_target *ret_target)
{
    *ret_target = (struct pg_target){.name = NULL};
    if (host != NULL) {
        *ret_target = (struct pg_target){host->name, address, host->port};
    }
    return PG_HOSTS_TARGET;
}

static enum pg_hosts_step
next_address(struct pg_hosts *hosts, struct pg_target *ret_target, struct error *reterr)
{
    const struct addrinfo *address = hosts->address;
    hosts->address = address->ai_next;
    if (getnameinfo(address->ai_addr, address->ai_addrlen, hosts->text, sizeof(hosts->text), NULL,
                    0, NI_NUMERICHOST) != 0) {
        error_set(reterr, ERROR_CONNECTION, "host \"%s\" has an address that cannot be used",
                  current(hosts)->name);
        return PG_HOSTS_UNKNOWN;
    }
    return target_is(current(hosts), hosts->text, ret_target);
}

static enum pg_hosts_step
look_up_done(struct pg_hosts *hosts, struct pg_target *ret_target, struct error *reterr)
{
    if (!resolve_take(hosts->resolve, &hosts->addresses, reterr)) {
        return PG_HOSTS_LOOKING_UP;
    }
    resolve_free(hosts->resolve);
    hosts->resolve = NULL;
    hosts->address = hosts->addresses;
    if (hosts->address == NULL) {
        error_prefix(reterr, "host \"%s\"", current(hosts)->name);
        return PG_HOSTS_UNKNOWN;
    }
    return next_address(hosts, ret_target, reterr);
}

static enum pg_hosts_step
next_host(struct pg_hosts *hosts, struct pg_target *ret_target, struct error *reterr)
{
    hosts->next++;
    const struct pg_host *host = current(hosts);
    if (host == NULL || !needs_look_up(host)) {
        return target_is(host, host != NULL ? host->address : NULL, ret_target);
    }
    hosts->resolve = resolve_start(host->name, 0, reterr);
    return hosts->resolve != NULL ? look_up_done(hosts, ret_target, reterr) : PG_HOSTS_UNKNOWN;
}

enum pg_hosts_step
pg_hosts_next(struct pg_hosts *hosts, struct pg_target *ret_target, struct error *reterr)
{
    if (hosts->resolve != NULL) {
        return look_up_done(hosts, ret_target, reterr);
    }
    if (hosts->address != NULL) {
        return next_address(hosts, ret_target, reterr);
    }
    if (hosts->addresses != NULL) {
        freeaddrinfo(hosts->addresses);
        hosts->addresses = NULL;
    }
    /* A dsn without a host counts as one. */
    const size_t count = hosts->count > 0 ? hosts->count : 1;
    return hosts->next < count ? next_host(hosts, ret_target, reterr) : PG_HOSTS_END;
}

const char *
pg_hosts_name(const struct pg_hosts *hosts)
{
    const struct pg_host *host = hosts->next > 0 ? current(hosts) : NULL;
    if (host == NULL) {
        return "default";
    }
    return host->name != NULL && host->name[0] != '\0' ? host->name : "default";
}

int
pg_hosts_fd(const struct pg_hosts *hosts)
{
    return hosts->resolve != NULL ? resolve_fd(hosts->resolve) : -1;
}
