#include "tests/integration/namespace_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/relay_fixture.h"
#include "tests/integration/servers_fixture.h"

static char name[40];
static char file[60];
static char servers[20];
static char own[20];
static FILE *guardian;

/* Four addresses for each process: tests run side by side. */
static void
choose_addresses(void)
{
    const unsigned number = (unsigned)getpid() % (1U << 14);
    (void)snprintf(name, sizeof(name), "outbox-%d", (int)getpid()); /* fits */
    (void)snprintf(file, sizeof(file), "/run/netns/%s", name);      /* fits */
    (void)snprintf(servers, sizeof(servers), "10.213.%u.%u", number >> 6,
                   (number & 63) * 4 + 1);                                                /* fits */
    (void)snprintf(own, sizeof(own), "10.213.%u.%u", number >> 6, (number & 63) * 4 + 2); /* fits */
}

/* It removes what was made, when this process has closed its end or has ended. */
static void
start_guardian(void)
{
    char line[300];
    (void)snprintf(
        line, sizeof(line),
        "trap '' INT TERM; cat >/dev/null; nft delete table ip %s 2>/dev/null; ip netns del %s",
        name, name); /* fits */
    guardian = popen(line, "we");
    check(guardian != NULL, "popen");
}

/* The servers listen at the loopback, and believe that the relay is there too: so the addresses of both are translated. */
void
namespace_open(void)
{
    const int id = (int)getpid();
    check(geteuid() == 0, "a network namespace needs root");
    choose_addresses();
    servers_shell("ip netns add %s", name);
    start_guardian();
    servers_shell("ip link add or%dh type veth peer name or%dn netns %s", id, id, name);
    servers_shell("ip addr add %s/30 dev or%dh && ip link set or%dh up", servers, id, id);
    servers_shell("ip -n %s addr add %s/30 dev or%dn", name, own, id);
    servers_shell("ip -n %s link set or%dn up && ip -n %s link set lo up", name, id, name);
    servers_shell("echo 1 >/proc/sys/net/ipv4/conf/or%dh/route_localnet", id);
    servers_shell("nft 'table ip %s {"
                  " chain there { type nat hook prerouting priority dstnat;"
                  " iifname \"or%dh\" ip daddr %s dnat to 127.0.0.1; };"
                  " chain here { type nat hook input priority 100; iifname \"or%dh\" snat to "
                  "127.0.0.1; }; }'",
                  name, id, servers, id);
    servers_shell("ip netns exec %s nft 'table ip cut {"
                  " chain out { type filter hook output priority 0; };"
                  " chain in { type filter hook input priority 0; }; }'",
                  name);
}

void
namespace_close(void)
{
    check(pclose(guardian) == 0, "the namespace %s was not removed", name);
    guardian = NULL;
}

const char *
namespace_file(void)
{
    return file;
}

const char *
namespace_servers(void)
{
    return servers;
}

void
namespace_cut(int port)
{
    servers_shell("ip netns exec %s nft 'add rule ip cut out tcp dport %d drop;"
                  " add rule ip cut in tcp sport %d drop'",
                  name, port, port);
}

void
namespace_mend(void)
{
    servers_shell("ip netns exec %s nft flush table ip cut", name);
}
