#include "amqp/uri.h"

#include <criterion/criterion.h>
#include <string.h>

static struct amqp_endpoint
parse(const char *text)
{
    struct amqp_endpoint endpoint;
    struct error error;
    cr_assert(amqp_uri_parse(text, &endpoint, &error), "%s: %s", text, error.text);
    return endpoint;
}

static void
refuse(const char *text, const char *words)
{
    struct amqp_endpoint endpoint = {.host_count = 99};
    struct error error;
    cr_assert_not(amqp_uri_parse(text, &endpoint, &error), "%s", text);
    cr_assert_eq(endpoint.host_count, 99, "untouched on failure");
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, words), "%s: %s", text, error.text);
    cr_assert_null(strstr(error.text, "s3cr"), "%s: %s", text, error.text);
    cr_assert_null(strstr(error.text, "tail"), "%s: %s", text, error.text);
}

Test(uri, defaults)
{
    struct amqp_endpoint endpoint = parse("amqp://");
    cr_assert_eq(endpoint.host_count, 1);
    cr_assert_str_eq(endpoint.hosts[0].name, "localhost");
    cr_assert_eq(endpoint.hosts[0].port, 5672);
    cr_assert_str_eq(endpoint.user, "guest");
    cr_assert_null(endpoint.password);
    cr_assert_str_eq(endpoint.vhost, "/");
    cr_assert(!endpoint.tls && endpoint.tls_verify && !endpoint.external);
    cr_assert_not(endpoint.heartbeat_set);
    amqp_endpoint_done(&endpoint);
}

Test(uri, everything)
{
    struct amqp_endpoint endpoint =
        parse("AMQPS://r%65lay:p%40ss%3aw%2Ford@h1,[::1]:7000,h3:5673/sh%2fop?heartbeat=15&"
              "connection_timeout=2500&cacertfile=/etc/ca%20s.pem&certfile=c&keyfile=k&"
              "verify=verify_none&server_name_indication=broker&auth_mechanism=external");
    cr_assert(endpoint.tls && !endpoint.tls_verify && endpoint.external);
    cr_assert_str_eq(endpoint.user, "relay");
    cr_assert_str_eq(endpoint.password, "p@ss:w/ord");
    cr_assert_eq(endpoint.host_count, 3);
    cr_assert_str_eq(endpoint.hosts[0].name, "h1");
    cr_assert_eq(endpoint.hosts[0].port, 5671);
    cr_assert_str_eq(endpoint.hosts[1].name, "::1");
    cr_assert_eq(endpoint.hosts[1].port, 7000);
    cr_assert_eq(endpoint.hosts[2].port, 5673);
    cr_assert_str_eq(endpoint.vhost, "sh/op");
    cr_assert(endpoint.heartbeat_set && endpoint.heartbeat_s == 15);
    cr_assert_eq(endpoint.connect_timeout_us, 2500000);
    cr_assert_str_eq(endpoint.ca_file, "/etc/ca s.pem");
    cr_assert_str_eq(endpoint.cert_file, "c");
    cr_assert_str_eq(endpoint.key_file, "k");
    cr_assert_str_eq(endpoint.server_name, "broker");
    amqp_endpoint_done(&endpoint);
}

Test(uri, the_default_vhost_has_many_spellings)
{
    static const char *const texts[] = {"amqp://h",
                                        "amqp://h/",
                                        "amqp://h/%2f",
                                        "amqp://h/%2F",
                                        "amqp://h/?heartbeat=1",
                                        "amqp://h?heartbeat=1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct amqp_endpoint endpoint = parse(texts[i]);
        cr_assert_str_eq(endpoint.vhost, "/");
        amqp_endpoint_done(&endpoint);
    }
}

Test(uri, a_user_may_come_without_password)
{
    struct amqp_endpoint endpoint = parse("amqp://relay@h");
    cr_assert_str_eq(endpoint.user, "relay");
    cr_assert_null(endpoint.password);
    amqp_endpoint_done(&endpoint);
    endpoint = parse("amqp://relay:@h");
    cr_assert_str_eq(endpoint.password, "");
    amqp_endpoint_done(&endpoint);
}

Test(uri, mistakes_are_named_and_passwords_are_not)
{
    refuse("", "must start with");
    refuse("relay:s3cret@host", "must start with");
    refuse("http://relay:s3cret@host", "must start with");
    refuse("amqp://relay:s3cr/tail@host/", "'@' after the host");
    refuse("amqp://relay:s3cr?tail@host/", "'@' after the host");
    refuse("amqp://relay:s3cret@host:port", "port");
    refuse("amqp://relay:s3cret@host:0", "port");
    refuse("amqp://relay:s3cret@host:65536", "port");
    refuse("amqp://relay:s3cret@host:", "port");
    refuse("amqp://relay:s3cret@::1", "host");
    refuse("amqp://[::1", "host");
    refuse("amqp://h,", "comma");
    refuse("amqp://h,,i", "host");
    refuse("amqp://:s3cret@h", "user name");
    refuse("amqp://relay:s3cr%@h", "'%'");
    refuse("amqp://relay:s3cr%0@h", "'%'");
    refuse("amqp://relay:s3cr%00@h", "'%'");
    refuse("amqp://h/a/b", "%2f");
    refuse("amqp://h?hartbeat=1", "did you mean 'heartbeat'");
    refuse("amqps://h?cacerts=1", "did you mean 'cacertfile'");
    refuse("amqp://h?heartbeat=", "no value");
    refuse("amqp://h?heartbeat", "no value");
    refuse("amqp://h?heartbeat=soon", "number of seconds");
    refuse("amqp://h?heartbeat=65536", "number of seconds");
    refuse("amqp://h?cacertfile=x", "needs amqps");
    refuse("amqps://h?certfile=x", "together");
    refuse("amqps://h?verify=no", "verify_peer or verify_none");
    refuse("amqps://h?auth_mechanism=x", "plain or external");
    refuse("amqps://h?auth_mechanism=external", "certfile");
    refuse("amqp://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "16 hosts");
}
