/* Times of a pass per operation, and the least work that the groups set ask of it. */
#include "supernet/work.h"

#include <stdlib.h>
#include <time.h>

struct profile {
    double *seconds; /* [worker][step][PROFILE_KINDS] */
};

double profile_clock(const struct pass *pass) {
    struct timespec now;
    pass->ops->memory->finish();
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static size_t rows_per_worker(const struct pass *pass) {
    return (size_t)pass->step_count * PROFILE_KINDS;
}

void profile_add(struct pass *pass, int worker, int row, double seconds) {
    pass->profile->seconds[worker * rows_per_worker(pass) + row] += seconds;
}

void profile_release(struct pass *pass) {
    if (pass->profile)
        free(pass->profile->seconds);
    free(pass->profile);
    pass->profile = NULL;
}

enum status pass_profile(struct pass *pass, bool on) {
    profile_release(pass);
    if (!on)
        return STATUS_OK;
    TRY(allocate(&pass->profile, 1, sizeof *pass->profile, "a profile"));
    return allocate(&pass->profile->seconds, (size_t)pass_threads(pass) * rows_per_worker(pass),
                    sizeof(double), "a profile");
}

static struct pass_profile_row profile_row(const struct pass *pass, int index, bool backward) {
    const struct step *step = &pass->steps[index];
    struct pass_profile_row row = {.layer = pass->network->layers[step->layer].name,
                                   .operation = step->name,
                                   .backward = backward};
    for (int i = 0; i < pass->segment_count; i++) {
        const struct segment *segment = &pass->segments[i];
        struct work work = step_work(pass, step, segment->group, backward);
        row.macs += work.macs * segment->images;
        row.bytes += work.elements * segment->images * (double)pass->ops->activation_size;
    }
    if (pass->profile == NULL)
        return row;
    for (int worker = 0; worker < pass_threads(pass); worker++) {
        const double *seconds =
            pass->profile->seconds + worker * rows_per_worker(pass) + (size_t)index * PROFILE_KINDS;
        row.seconds += seconds[backward ? PROFILE_BACKWARD : PROFILE_FORWARD] +
                       seconds[backward ? PROFILE_NORM_BACKWARD : PROFILE_NORM_FORWARD];
    }
    return row;
}

int pass_profile_rows(const struct pass *pass, struct pass_profile_row *rows, int most) {
    int count = 0;
    for (int backward = 0; backward <= pass->options.backward; backward++)
        for (int step = 0; step < pass->step_count && count < most; step++)
            rows[count++] = profile_row(pass, step, backward);
    return count;
}
