#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "amqp/table.h"
#include "relay/core/pipeline.h"
#include "relay/rabbit/headers.h"
#include "relay/rabbit/publisher.h"

/* How a published message looks is tested with a real broker (tests/integration/test_relay_delivery.c); here, how a
 * returned one is recognised. */

static struct buffer buffer;
static struct table_writer writer;

static void
setup(void)
{
    buffer_init(&buffer, 256, 4096);
    table_writer_init(&writer, &buffer);
}

static void
teardown(void)
{
    buffer_done(&buffer);
}

TestSuite(publisher, .init = setup, .fini = teardown);

static struct rabbit_message
message(void)
{
    return (struct rabbit_message){
        .headers = {.data = buffer_front(&buffer), .size = buffer_size(&buffer)}};
}

static struct span
name(void)
{
    return (struct span){.data = HEADER_ID, .size = strlen(HEADER_ID)};
}

Test(publisher, finds_the_id_of_a_returned_message)
{
    int64_t id = 0;
    cr_assert(table_put_int(&writer, name(), 1234567890123));
    const struct rabbit_message returned = message();
    cr_assert(publisher_returned_id(&returned, &id));
    cr_assert_eq(id, 1234567890123);
}

Test(publisher, knows_what_is_not_its_own)
{
    int64_t id = 7;
    const struct rabbit_message without = message();
    cr_assert_not(publisher_returned_id(&without, &id));
    cr_assert(table_put_string(&writer, name(), (struct span){.data = "1", .size = 1}));
    const struct rabbit_message other = message();
    cr_assert_not(publisher_returned_id(&other, &id), "an id of another type is none of ours");
    cr_assert_eq(id, 7);
}

static bool
blames(const char *words, const char *exchange)
{
    struct span found;
    return publisher_blamed_exchange(words, &found) && found.size == strlen(exchange) &&
           memcmp(found.data, exchange, found.size) == 0;
}

Test(publisher, finds_the_exchange_for_which_a_channel_was_closed)
{
    struct span found;
    cr_assert(blames("404 NOT_FOUND - no exchange 'orders' in vhost '/'", "orders"));
    cr_assert(
        blames("403 ACCESS_REFUSED - write access to exchange 'it's' in vhost '/' refused for "
               "user 'relay'",
               "it's"));
    cr_assert_not(publisher_blamed_exchange(
        "406 PRECONDITION_FAILED - message size 5 is larger than configured max size 4", &found));
}

/* RabbitMQ cuts its message after 252 bytes. */
Test(publisher, finds_an_exchange_whose_name_was_cut)
{
    static const char before[] = "NOT_FOUND - no exchange '";
    char name[256] = "";
    char whole[300];
    char words[300];
    struct span found;
    memset(name, 'x', 255);
    (void)snprintf(whole, sizeof(whole), "%s%s' in vhost '/'", before, name);
    (void)snprintf(words, sizeof(words), "%.252s...", whole);
    cr_assert(publisher_blamed_exchange(words, &found));
    cr_assert_eq(found.size, 252 - strlen(before));
    cr_assert_eq(pipeline_exchange_hash(found),
                 pipeline_exchange_hash((struct span){name, strlen(name)}),
                 "it is known again by its beginning");
    cr_assert_neq(pipeline_exchange_hash(found), pipeline_exchange_hash((struct span){"x", 1}));
    cr_assert_not(publisher_blamed_exchange("no exchange 'x...", &found), "these were not cut");
}

/* Only one routing key is forbidden: the exchange takes others. */
Test(publisher, blames_no_exchange_for_a_forbidden_topic)
{
    struct span found;
    cr_assert_not(publisher_blamed_exchange(
        "403 ACCESS_REFUSED - access to topic 'a.b' in exchange 'orders' in vhost '/' refused for "
        "user 'relay'",
        &found));
}
