/* taper help config: the reference of all keys. */
#include "commands/commands.h"
#include "config/config.h"

#include <string.h>

static enum status execute(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "config") == 0)
        return config_help();
    return fail(STATUS_USAGE, "the topic of help is `config`: taper help config");
}

const struct command command_help = {"help", "help config: all keys of a configuration", execute};
