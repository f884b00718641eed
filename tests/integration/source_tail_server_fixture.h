/* tests/integration/source_tail_server_fixture.h - source_tail_fixture.h with a server of its own. */
#ifndef TESTS_INTEGRATION_SOURCE_TAIL_SERVER_FIXTURE_H
#define TESTS_INTEGRATION_SOURCE_TAIL_SERVER_FIXTURE_H

#include "tests/integration/source_tail_fixture.h"

void tail_server_create(void);
/* The server need not be there any more. */
void tail_server_drop(void);

#endif
