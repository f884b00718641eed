#include "tests/integration/certificates_fixture.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/relay_fixture.h"

static const char script[] =
    "set -e\n"
    "new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
    "for ca in ca other; do openssl req -x509 $new -days 30 -subj /CN=$ca -keyout $ca.key -out "
    "$ca.pem; done\n"
    "make() { openssl req $new -subj \"/CN=$2\" -keyout $1.key -out $1.csr; echo \"$4\" > $1.ext\n"
    "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial $3 -out $1.pem "
    "-extfile $1.ext; }\n"
    "old='-days -1'\n" /* from OpenSSL 3.4 on the dates themselves are given, and such days refused */
    "! openssl x509 -help 2>&1 | grep -q -e -not_before ||\n"
    "  old='-not_before 20200101000000Z -not_after 20200102000000Z'\n"
    "make good localhost '-days 30' subjectAltName=DNS:localhost\n"
    "make expired localhost \"$old\" subjectAltName=DNS:localhost\n"
    "make wrong localhost '-days 30' subjectAltName=DNS:elsewhere.example\n"
    "make nameless localhost '-days 30' keyUsage=digitalSignature\n"
    "make client relay '-days 30' subjectAltName=DNS:relay\n"
    "openssl req -x509 $new -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost "
    "-keyout self.key -out self.pem\n"
    "openssl pkey -in client.key -aes256 -passout pass:x -out enc.key\n"
    "mkfifo pipe\n"
    "chmod 600 *.key\n";

void
certificates_make(void)
{
    FILE *const file = fopen("make", "we");
    check(file != NULL && fputs(script, file) >= 0 && fclose(file) == 0, "make");
    check(system("bash ./make >made 2>&1") == 0, "openssl failed: see tests/services for the tool");
}

static bool
is_served(void *context)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr = {htonl(INADDR_LOOPBACK)},
        .sin_port = htons(*(const unsigned short *)context),
    };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket");
    const bool served = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    check(close(fd) == 0, "close");
    return served;
}

void
certificates_await_server(unsigned short port)
{
    await(is_served, &port, "the server listens", PATIENCE_S);
}

static pid_t server; /* 0: does not run */

void
certificates_end_server(void)
{
    if (server > 0) {
        check(kill(server, SIGKILL) == 0 && waitpid(server, NULL, 0) == server, "the server");
        server = 0;
    }
}

void
certificates_serve(const char *command, unsigned short port)
{
    certificates_end_server();
    server = fork();
    check(server >= 0, "fork");
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    certificates_await_server(port);
}
