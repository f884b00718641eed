#include "base/memory.h"
#include "relay/cli/cli.h"

int
main(int argc, char **argv)
{
    memory_hide();
    return cli_main(argc, argv);
}
