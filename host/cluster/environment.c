#include "cluster/environment.h"

#include <stddef.h>
#include <stdlib.h>

/* The first one whose number of ranks is set counts. Slurm sets its own also where no srun has
 * started anything: a batch script's. */
static const struct {
    const char *ranks, *rank;
} launchers[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
    {"WORLD_SIZE", "RANK"},
    {"SLURM_NTASKS", "SLURM_PROCID"},
};

enum { MOST_RANKS = 65536 };

static enum status read_number(const char *variable, int *number) {
    const char *text = getenv(variable);
    char *end;
    if (text == NULL)
        return STATUS_OK;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0 || value > MOST_RANKS)
        return fail(STATUS_USAGE, "the environment's %s is '%.64s', which is no number of ranks",
                    variable, text);
    *number = (int)value;
    return STATUS_OK;
}

enum status environment_ranks(struct started *started) {
    *started = (struct started){.ranks = 1, .rank = -1};
    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++) {
        if (getenv(launchers[i].ranks) == NULL)
            continue;
        started->variable = launchers[i].ranks;
        TRY(read_number(launchers[i].ranks, &started->ranks));
        return read_number(launchers[i].rank, &started->rank);
    }
    return STATUS_OK;
}
