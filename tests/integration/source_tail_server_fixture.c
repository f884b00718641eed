#include "tests/integration/source_tail_server_fixture.h"

#include "tests/integration/servers_fixture.h"

void
tail_server_create(void)
{
    servers_start(db_server());
    tail_create();
}

void
tail_server_drop(void)
{
    source_fixture_close(source, &config);
    db_close(admin);
    servers_stop();
}
