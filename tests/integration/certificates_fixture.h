/* tests/integration/certificates_fixture.h - certificates for tests of TLS, and a server that shows them. Any failure fails
 * the test. */
#ifndef TESTS_INTEGRATION_CERTIFICATES_FIXTURE_H
#define TESTS_INTEGRATION_CERTIFICATES_FIXTURE_H

/* Makes these in the working directory: the authorities ca and other (NAME.pem, NAME.key), and certificates signed by ca: good,
 * for localhost; expired, for localhost; wrong, for elsewhere.example; nameless, without a subjectAltName; client, of "relay".
 * And self, for localhost, signed by itself; enc.key, client's key, encrypted; pipe, a named pipe. */
void certificates_make(void);

/* Runs a server by this command of the shell, which begins with exec, and waits until it listens on this port of the loopback.
 * It takes the place of the one before, and ends with the test at the latest. */
void certificates_serve(const char *command, unsigned short port);
void certificates_end_server(void);

/* Waits until somebody listens on this port of the loopback. */
void certificates_await_server(unsigned short port);

#endif
