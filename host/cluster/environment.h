/* What the program that started this process says about ranks. */
#ifndef TAPER_ENVIRONMENT_H
#define TAPER_ENVIRONMENT_H

#include "support/status.h"

/* Variables of mpirun, srun and launchers like torchrun. */
struct started {
    int ranks;            /* 1: started alone */
    const char *variable; /* that says the number of ranks; NULL: none does */
};

/* A variable that is no number is an error. */
enum status environment_ranks(struct started *started);

#endif
