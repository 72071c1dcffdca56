#include "cluster/environment.h"

#include <stddef.h>
#include <stdlib.h>

/* The first one that is set counts. Slurm sets its own also where no srun has started anything: in
 * a batch script. */
static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "WORLD_SIZE", "SLURM_NTASKS"};

enum { MOST_RANKS = 65536 };

static enum status read_ranks(struct started *started, const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > MOST_RANKS)
        return fail(STATUS_USAGE, "the environment's %s is '%.64s', which is no number of ranks",
                    started->variable, text);
    started->ranks = (int)value;
    return STATUS_OK;
}

enum status environment_ranks(struct started *started) {
    *started = (struct started){.ranks = 1};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *text = getenv(variables[i]);
        if (text == NULL)
            continue;
        started->variable = variables[i];
        return read_ranks(started, text);
    }
    return STATUS_OK;
}
