#include "relay/cli.h"
#include "relay/memory.h"

int
main(int argc, char **argv)
{
    memory_hide();
    return cli_main(argc, argv);
}
