/* Times of a pass per operation, and the least work that the groups set ask of it. */
#include "supernet/pass_internal.h"

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

static int width_of(const struct pass *pass, const int *widths, int group) {
    return pass->width_memory[widths - pass->device_widths + group];
}

double convolution_macs(const struct pass *pass, const struct convolution *convolution, int group) {
    const struct tensor *output = &convolution->output;
    double kernel = convolution->kernel == 1 ? 1 : width_of(pass, convolution->kernels, group);
    double in = convolution->depthwise ? 1 : width_of(pass, convolution->input.tensor->kept, group);
    return (double)output->height * output->width * width_of(pass, output->kept, group) * in *
           kernel * kernel;
}

static double elements(const struct pass *pass, const struct tensor *tensor, int group) {
    return (double)tensor->height * tensor->width * width_of(pass, tensor->kept, group);
}

/* Every tensor that an operation needs is read or written once; weights are counted once per group.
 */
static void count_step(const struct pass *pass, const struct step *step, int group, bool backward,
                       double *macs, double *reals) {
    switch (step->kind) {
    case STEP_DENSE:
    case STEP_POINTWISE:
    case STEP_DEPTHWISE: {
        const struct convolution *convolution = &step->convolution;
        double in = elements(pass, convolution->input.tensor, group);
        double out = elements(pass, &convolution->output, group);
        double once = out > 0 ? convolution_macs(pass, convolution, group) : 0;
        bool input_gradient = convolution->input.gradient != NULL;
        *macs = backward ? once * (input_gradient ? 2 : 1) : once;
        if (out == 0)
            in = 0;
        *reals =
            backward ? in * (input_gradient ? 2 : 1) + out * (convolution->norm ? 2 : 1) : in + out;
        break;
    }
    case STEP_SQUEEZE_EXCITE:
        *reals = elements(pass, step->squeeze_excite.input.tensor, group) * (backward ? 3 : 1);
        break;
    case STEP_COMBINE: {
        const struct combine *combine = &step->combine;
        double z = elements(pass, combine->main.tensor, group),
               y = elements(pass, &combine->output, group);
        double x = combine->shortcut.tensor ? elements(pass, combine->shortcut.tensor, group) : 0;
        *reals = z + x + y;
        break;
    }
    case STEP_POOL:
        *reals = elements(pass, step->pool.input.tensor, group) * (backward ? 2 : 1);
        break;
    }
}

static struct pass_profile_row profile_row(const struct pass *pass, int index, bool backward) {
    const struct step *step = &pass->steps[index];
    struct pass_profile_row row = {.layer = pass->network->layers[step->layer].name,
                                   .operation = step->name,
                                   .backward = backward};
    for (int i = 0; i < pass->segment_count; i++) {
        const struct segment *segment = &pass->segments[i];
        double macs = 0, reals = 0;
        count_step(pass, step, segment->group, backward, &macs, &reals);
        row.macs += macs * segment->images;
        row.bytes += reals * segment->images * (double)pass->ops->activation_size;
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
