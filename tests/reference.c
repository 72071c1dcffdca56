/* Squeeze-excite, pool, loss, pictures and vectors; and the table of all. */
#include "reference.h"
#include "reference_convolution.h"
#include "reference_norm.h"
#include "reference_view.h"

#include <math.h>
#include <stdlib.h>

/* Mean over one image of what view shows. */
static double image_mean(const struct view *view, const struct segment *segment, int image,
                         int channel) {
    int area = view->tensor->height * view->tensor->width;
    double sum = 0;
    for (int p = image * area; p < (image + 1) * area; p++)
        sum += seen(view, segment, p, channel);
    return sum / area;
}

static void excite(const struct squeeze_excite *squeeze, const struct segment *segment, int image) {
    int channels = tensor_kept(&squeeze->pooled, segment);
    int hidden = tensor_kept(&squeeze->hidden, segment);
    for (int c = 0; c < channels; c++)
        *element(&squeeze->pooled, segment, image, c) =
            (real)image_mean(&squeeze->input, segment, image, c);
    for (int h = 0; h < hidden; h++) {
        double sum = squeeze->reduce_bias[h];
        for (int c = 0; c < channels; c++)
            sum += (double)squeeze->reduce[(size_t)h * squeeze->pooled.channels + c] *
                   (double)*element(&squeeze->pooled, segment, image, c);
        *element(&squeeze->hidden, segment, image, h) = (real)fmax(sum, 0);
    }
    for (int c = 0; c < channels; c++) {
        double slope, sum = squeeze->expand_bias[c];
        for (int h = 0; h < hidden; h++)
            sum += (double)squeeze->expand[(size_t)c * squeeze->hidden.channels + h] *
                   (double)*element(&squeeze->hidden, segment, image, h);
        *element(&squeeze->gate, segment, image, c) =
            (real)reference_activation(ACTIVATION_HARD_SIGMOID, sum, &slope);
    }
}

static enum status squeeze_excite_forward(const struct squeeze_excite *squeeze,
                                          const struct slice *slice) {
    for (int s = 0; s < slice->count; s++)
        for (int image = 0; image < slice->segments[s].images; image++)
            excite(squeeze, &slice->segments[s], image);
    return STATUS_OK;
}

/* From e = d loss / d (a gate) of one image to d loss / d a, [pixel][kept]; parameter gradients. */
static void excite_backward(const struct squeeze_excite *squeeze, const struct segment *segment,
                            int image, double *da, double *gradient) {
    const struct view *input = &squeeze->input;
    int channels = tensor_kept(&squeeze->pooled, segment);
    int hidden = tensor_kept(&squeeze->hidden, segment);
    int area = input->tensor->height * input->tensor->width, first = image * area;
    double *dhidden = zeros(hidden), *dpooled = zeros(channels);
    for (int c = 0; c < channels; c++) {
        double gate = *element(&squeeze->gate, segment, image, c), dgate = 0;
        for (int p = first; p < first + area; p++)
            dgate +=
                (double)*element(input->gradient, segment, p, c) * activated(input, segment, p, c);
        double dpre = gate > 0 && gate < 1 ? dgate / 6 : 0;
        gradient[squeeze->expand_bias_offset + c] += dpre;
        for (int h = 0; h < hidden; h++) {
            size_t at = (size_t)c * squeeze->hidden.channels + h;
            gradient[squeeze->expand_offset + at] +=
                dpre * (double)*element(&squeeze->hidden, segment, image, h);
            dhidden[h] += dpre * (double)squeeze->expand[at];
        }
    }
    for (int h = 0; h < hidden; h++) {
        double dpre = *element(&squeeze->hidden, segment, image, h) > 0 ? dhidden[h] : 0;
        gradient[squeeze->reduce_bias_offset + h] += dpre;
        for (int c = 0; c < channels; c++) {
            size_t at = (size_t)h * squeeze->pooled.channels + c;
            gradient[squeeze->reduce_offset + at] +=
                dpre * (double)*element(&squeeze->pooled, segment, image, c);
            dpooled[c] += dpre * (double)squeeze->reduce[at];
        }
    }
    for (int p = first; p < first + area; p++)
        for (int c = 0; c < channels; c++)
            da[(size_t)p * channels + c] = (double)*element(input->gradient, segment, p, c) *
                                               (double)*element(&squeeze->gate, segment, image, c) +
                                           dpooled[c] / area;
    free(dhidden);
    free(dpooled);
}

/* All four parameters lie in a row; returns where it ends. */
static size_t parameters_end(const struct squeeze_excite *squeeze) {
    size_t matrix = (size_t)squeeze->pooled.channels * squeeze->hidden.channels;
    size_t ends[] = {squeeze->reduce_offset + matrix, squeeze->expand_offset + matrix,
                     squeeze->reduce_bias_offset + squeeze->hidden.channels,
                     squeeze->expand_bias_offset + squeeze->pooled.channels};
    size_t end = 0;
    for (int i = 0; i < 4; i++)
        end = ends[i] > end ? ends[i] : end;
    return end;
}

static enum status squeeze_excite_backward(const struct squeeze_excite *squeeze,
                                           const struct slice *slice) {
    size_t count = parameters_end(squeeze);
    double *gradient = zeros(count);
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        int channels = tensor_kept(&squeeze->pooled, segment);
        double *da = zeros((size_t)pixel_count(squeeze->input.tensor, segment) * channels);
        for (int image = 0; image < segment->images; image++)
            excite_backward(squeeze, segment, image, da, gradient);
        leave_ungated_gradient(&squeeze->input, segment, da);
        free(da);
    }
    for (size_t i = 0; i < count; i++)
        slice->gradient[i] += (real)gradient[i];
    free(gradient);
    return STATUS_OK;
}

static enum status pool_mean_forward(const struct pool_mean *pool, const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        for (int image = 0; image < segment->images; image++)
            for (int c = 0; c < tensor_kept(&pool->output, segment); c++)
                *element(&pool->output, segment, image, c) =
                    (real)image_mean(&pool->input, segment, image, c);
    }
    return STATUS_OK;
}

static enum status pool_mean_backward(const struct pool_mean *pool, const struct slice *slice) {
    const struct tensor *input = pool->input.tensor;
    int area = input->height * input->width;
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        int kept = tensor_kept(input, segment), count = pixel_count(input, segment);
        double *da = zeros((size_t)count * kept);
        for (int p = 0; p < count; p++)
            for (int c = 0; c < kept; c++)
                da[(size_t)p * kept + c] =
                    (double)*element(pool->output_gradient, segment, p / area, c) / area;
        leave_gradient(&pool->input, segment, da);
        free(da);
    }
    return STATUS_OK;
}

/* log softmax(values / temperature)[c] */
static double log_softmax(const real *values, int classes, double temperature, int c) {
    double largest = -INFINITY, sum = 0;
    for (int k = 0; k < classes; k++)
        largest = fmax(largest, (double)values[k] / temperature);
    for (int k = 0; k < classes; k++)
        sum += exp((double)values[k] / temperature - largest);
    return (double)values[c] / temperature - largest - log(sum);
}

static double target(const struct loss *loss, int picture, int classes, int c) {
    double smoothing = loss->smoothing, taught = 0, share = 0;
    if (loss->teacher) {
        share = loss->teacher_weight;
        taught = exp(log_softmax(loss->teacher + (size_t)picture * classes, classes,
                                 (double)loss->temperature, c));
    }
    double one_hot = c == loss->labels[picture];
    return (1 - share) * ((1 - smoothing) * one_hot + smoothing / classes) + share * taught;
}

static void loss_of_image(const struct loss *loss, const struct segment *segment, int image) {
    int classes = loss->logits->channels, picture = segment->picture + image, best = 0;
    const real *logits = element(loss->logits, segment, image, 0);
    double total = 0, weight = loss->weights ? (double)loss->weights[picture] : 1;
    for (int c = 0; c < classes; c++) {
        double wanted = target(loss, picture, classes, c);
        double log_p = log_softmax(logits, classes, 1, c);
        total -= wanted * log_p;
        if (loss->gradient)
            *element(loss->gradient, segment, image, c) =
                (real)((double)loss->scale * weight * (exp(log_p) - wanted));
        best = logits[c] > logits[best] ? c : best;
    }
    loss->losses[picture] = total;
    loss->correct[picture] = best == loss->labels[picture];
}

static enum status loss_forward_backward(const struct loss *loss, const struct slice *slice) {
    for (int s = 0; s < slice->count; s++)
        for (int image = 0; image < slice->segments[s].images; image++) {
            const struct segment *segment = &slice->segments[s];
            int classes = loss->logits->channels;
            for (int c = 0; c < classes; c++)
                loss->rows[(segment->picture + image) * classes + c] =
                    *element(loss->logits, segment, image, c);
            if (loss->labels)
                loss_of_image(loss, segment, image);
        }
    return STATUS_OK;
}

static enum status normalise_pictures(const struct normalise_pictures *normalise,
                                      const struct slice *slice) {
    const struct tensor *output = &normalise->output;
    size_t area = (size_t)output->height * output->width;
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        for (int p = 0; p < pixel_count(output, segment); p++)
            for (int c = 0; c < output->channels; c++) {
                size_t at = (segment->picture * area + p) * output->channels + c;
                *element(output, segment, p, c) =
                    (real)((normalise->pictures[at] / 255.0 - (double)normalise->mean[c]) /
                           (double)normalise->deviation[c]);
            }
    }
    return STATUS_OK;
}

static enum status add(real *into, const real *const *from, int terms, size_t count) {
    for (size_t i = 0; i < count; i++) {
        into[i] = from[0][i];
        for (int t = 1; t < terms; t++)
            into[i] += from[t][i];
    }
    return STATUS_OK;
}

static enum status update(const struct update *update, size_t count, real *weight,
                          const real *gradient, real *velocity, real *square) {
    double rate = update->rate, momentum = update->momentum, alpha = update->alpha;
    for (size_t i = 0; i < count; i++) {
        double decay = update->decays == NULL || update->decays[i] ? (double)update->decay : 0;
        double g = (double)gradient[i] + decay * (double)weight[i], step = g;
        if (update->kind == OPTIMISER_RMSPROP) {
            square[i] = (real)(alpha * (double)square[i] + (1 - alpha) * g * g);
            step = g / (sqrt((double)square[i]) + (double)update->epsilon);
        }
        double v = momentum * (double)velocity[i] + step;
        velocity[i] = (real)v;
        weight[i] -= (real)(rate * (update->nesterov ? g + momentum * v : v));
    }
    return STATUS_OK;
}

static enum status average(real *ema, const real *weight, real keep, size_t count) {
    for (size_t i = 0; i < count; i++)
        ema[i] = (real)((double)keep * (double)ema[i] + (1 - (double)keep) * (double)weight[i]);
    return STATUS_OK;
}

static size_t nothing(const struct convolution *convolution) {
    (void)convolution;
    return 0;
}

static enum status prepare(const struct convolution *const *convolutions, int count) {
    (void)convolutions, (void)count;
    return STATUS_OK;
}

const struct ops *ops_reference(void) {
    static const struct ops reference = {
        .name = "reference",
        .activation_size = sizeof(real),
        .align = CHANNEL_ALIGN,
        .blocks = 1,
        .convolution_prepared_size = nothing,
        .convolution_scratch = nothing,
        .prepare = prepare,
        .dense_forward = reference_convolution_forward,
        .dense_backward = reference_convolution_backward,
        .pointwise_forward = reference_convolution_forward,
        .pointwise_backward = reference_convolution_backward,
        .depthwise_forward = reference_convolution_forward,
        .depthwise_backward = reference_convolution_backward,
        .batch_norm_forward = reference_batch_norm_forward,
        .batch_norm_backward = reference_batch_norm_backward,
        .combine_forward = reference_combine_forward,
        .combine_backward = reference_combine_backward,
        .squeeze_excite_forward = squeeze_excite_forward,
        .squeeze_excite_backward = squeeze_excite_backward,
        .pool_mean_forward = pool_mean_forward,
        .pool_mean_backward = pool_mean_backward,
        .loss_forward_backward = loss_forward_backward,
        .normalise_pictures = normalise_pictures,
        .add = add,
        .update = update,
        .average = average,
    };
    return &reference;
}
