/* tests/integration/certificates_fixture.h - certificates for tests of TLS, and a server that is waited for. Any failure fails
 * the test. */
#ifndef TESTS_INTEGRATION_CERTIFICATES_FIXTURE_H
#define TESTS_INTEGRATION_CERTIFICATES_FIXTURE_H

/* Makes these in the working directory: the authorities ca and other (NAME.pem, NAME.key), and certificates signed by ca: good,
 * for localhost; expired, for localhost; wrong, for elsewhere.example; nameless, without a subjectAltName; client, of "relay".
 * And self, for localhost, signed by itself; enc.key, client's key, encrypted; pipe, a named pipe. */
void certificates_make(void);

/* Waits until somebody listens on this port of the loopback. */
void certificates_await_server(unsigned short port);

#endif
