#include <criterion/criterion.h>

#include "base/memory.h"
#include "relay/rabbit/endpoint.h"
#include "relay/rabbit/topology.h"

static struct broker_endpoint endpoints[] = {
    {.amqp = {.user = (char[]){"relay"}, .vhost = (char[]){"/"}}},
    {.amqp = {.user = (char[]){"it's me"}, .vhost = (char[]){"a b"}}},
};
static struct broker_config brokers[] = {
    {.name = (char[]){"main"}, .endpoint = &endpoints[0]},
    {.name = (char[]){"other"}, .endpoint = &endpoints[1]},
};
static struct source_config sources[] = {
    {.broker = &brokers[0], .exchange = (char[]){"orders"}},
    {.broker = &brokers[0], .exchange = (char[]){""}},
    {.broker = &brokers[1], .exchange = (char[]){"else"}},
};
static struct exchange_config exchanges[] = {
    {.broker = &brokers[0], .name = (char[]){"orders"}},
    {.broker = &brokers[0], .name = (char[]){"dlx"}},
};
static struct queue_config queues[] = {
    {.broker = &brokers[0],
     .name = (char[]){"ship.ping+"},
     .dead_letter_exchange = (char[]){"dlx"}},
    {.broker = &brokers[0], .name = (char[]){"plain"}},
};
static struct binding_config bindings[] = {
    {.broker = &brokers[0], .exchange = (char[]){"orders"}, .queue = (char[]){"plain"}},
};
static const struct config config = {
    .brokers = brokers,
    .broker_count = 2,
    .sources = sources,
    .source_count = 3,
    .exchanges = exchanges,
    .exchange_count = 2,
    .queues = queues,
    .queue_count = 2,
    .bindings = bindings,
    .binding_count = 1,
};

static void
expect(const struct broker_config *broker, const char *command)
{
    char *const got = topology_rights(&config, broker);
    cr_assert_str_eq(got, command, "%s", got);
    memory_free(got);
}

Test(topology_rights, name_all_that_is_declared_and_published)
{
    expect(&brokers[0], "rabbitmqctl set_permissions -p '/' 'relay' "
                        "'^(orders|dlx|ship\\.ping\\+|plain|outbox-relay\\..*)$' "
                        "'^(orders|amq\\.default|dlx|plain)$' "
                        "'^(ship\\.ping\\+|orders)$'");
}

Test(topology_rights, of_a_broker_where_nothing_is_declared)
{
    expect(&brokers[1], "rabbitmqctl set_permissions -p 'a b' 'it'\\''s me' "
                        "'^(outbox-relay\\..*)$' '^(else)$' '^$'");
    cr_assert(topology_any(&config, &brokers[0]));
    cr_assert_not(topology_any(&config, &brokers[1]));
}
