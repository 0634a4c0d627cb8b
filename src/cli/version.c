/* version.c - crossdock version. */
#include "version.h"

#include "cli/cli.h"

#include <stdio.h>

static int run(int argc, char **argv)
{
    int operands, e = cli_parse(&command_version, argc, argv, NULL, 0, 0, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    (void)puts("crossdock " CROSSDOCK_VERSION);
    return EXIT_OK;
}

const struct command command_version = {
    .name = "version",
    .summary = "print the version",
    .help = "Usage: crossdock version\n\nPrints the version.\n",
    .run = run,
};
