#include "supernet/work.h"

int kept_channels(const struct pass *pass, const struct tensor *tensor, int group) {
    return *pass_width(pass, tensor->kept, group);
}

static double pixels(const struct tensor *tensor) {
    return (double)tensor->height * tensor->width;
}

double image_elements(const struct pass *pass, const struct tensor *tensor, int group) {
    return pixels(tensor) * kept_channels(pass, tensor, group);
}

double weight_bytes(const struct pass *pass, double weights, bool backward) {
    double read = (double)pass->ops->activation_size;
    return weights * (backward ? read + 2 * sizeof(real) : read);
}

double convolution_macs(const struct pass *pass, const struct convolution *convolution, int group) {
    double kernel = convolution->kernel == 1 ? 1 : *pass_width(pass, convolution->kernels, group);
    double in = convolution->kind == CONVOLUTION_DEPTHWISE
                    ? 1
                    : kept_channels(pass, convolution->input.tensor, group);
    return image_elements(pass, &convolution->output, group) * in * kernel * kernel;
}

static struct work convolution_work(const struct pass *pass, const struct convolution *convolution,
                                    int group, bool backward) {
    struct work work = {0};
    const struct view *input = &convolution->input;
    double out = image_elements(pass, &convolution->output, group);
    if (out == 0)
        return work;
    double in = image_elements(pass, input->tensor, group);
    double gate = input->gate ? kept_channels(pass, input->tensor, group) : 0;
    work.macs = convolution_macs(pass, convolution, group);
    work.weights = work.macs / pixels(&convolution->output);
    if (!backward) {
        work.elements = in + gate + out;
        return work;
    }
    double in_gradient = input->gradient == NULL ? 0 : in * (input->accumulate ? 2 : 1);
    work.macs *= input->gradient ? 2 : 1;
    work.elements = in + gate + in_gradient + out * (convolution->norm ? 2 : 1);
    return work;
}

static struct work squeeze_excite_work(const struct pass *pass,
                                       const struct squeeze_excite *squeeze, int group,
                                       bool backward) {
    double in = image_elements(pass, squeeze->input.tensor, group);
    double channels = kept_channels(pass, squeeze->input.tensor, group);
    double hidden = kept_channels(pass, &squeeze->hidden, group);
    double products = 2 * channels * hidden, vectors = 2 * channels + hidden;
    return (struct work){.macs = products * (backward ? 2 : 1),
                         .elements = backward ? 3 * in + vectors : in + vectors,
                         .weights = products};
}

/* With M = main's channels, C = the shortcut's: kernels/ops.h. */
static struct work combine_work(const struct pass *pass, const struct combine *combine, int group,
                                bool backward) {
    const struct view *main = &combine->main, *shortcut = &combine->shortcut;
    double z = image_elements(pass, main->tensor, group);
    double y = image_elements(pass, &combine->output, group), used = 0, x = 0;
    if (shortcut->tensor) {
        double scale = pixels(shortcut->tensor) / pixels(&combine->output);
        x = image_elements(pass, shortcut->tensor, group);
        used = combine->residual ? x : (y - z) * scale;
        used = used < y * scale ? used : y * scale;
    }
    if (!backward)
        return (struct work){.elements = z + used + y};
    double sums = main->norm || main->activation != ACTIVATION_NONE ? z : 0;
    double gradient = main->activation != ACTIVATION_NONE ? z : 0;
    if (shortcut->accumulate)
        x *= 2;
    return (struct work){.elements = y + sums + gradient + x};
}

static struct work pool_work(const struct pass *pass, const struct pool_mean *pool, int group,
                             bool backward) {
    double in = image_elements(pass, pool->input.tensor, group);
    double out = image_elements(pass, &pool->output, group);
    return (struct work){.elements = in * (backward ? 2 : 1) + out};
}

struct work step_work(const struct pass *pass, const struct step *step, int group, bool backward) {
    switch (step->kind) {
    case STEP_DENSE:
    case STEP_POINTWISE:
    case STEP_DEPTHWISE:
        return convolution_work(pass, &step->convolution, group, backward);
    case STEP_SQUEEZE_EXCITE:
        return squeeze_excite_work(pass, &step->squeeze_excite, group, backward);
    case STEP_COMBINE:
        return combine_work(pass, &step->combine, group, backward);
    case STEP_POOL:
        return pool_work(pass, &step->pool, group, backward);
    }
    __builtin_unreachable();
}
