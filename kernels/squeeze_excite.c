/* Squeeze-excite: gate = hard_sigmoid(expand relu(reduce mean(a) + b) + b), on prefixes of the
 * weights. One vector per image meets the matrices: plain loops over their rows. */
#include "cpu.h"
#include "pool_mean.h"
#include "vector.h"

#include <string.h>

/* The vectors of one image, and the matrices' rows. */
struct excite {
    const struct squeeze_excite *squeeze;
    int channels, hidden; /* kept */
    real *pooled, *hidden_values, *gate;
};

static struct excite excite_of(const struct squeeze_excite *squeeze, const struct segment *segment,
                               int image) {
    return (struct excite){.squeeze = squeeze,
                           .channels = tensor_kept(&squeeze->pooled, segment),
                           .hidden = tensor_kept(&squeeze->hidden, segment),
                           .pooled = tensor_image(&squeeze->pooled, segment, image),
                           .hidden_values = tensor_image(&squeeze->hidden, segment, image),
                           .gate = tensor_image(&squeeze->gate, segment, image)};
}

static size_t reduce_row(const struct squeeze_excite *squeeze, int h) {
    return (size_t)h * squeeze->pooled.channels;
}

static size_t expand_row(const struct squeeze_excite *squeeze, int c) {
    return (size_t)c * squeeze->hidden.channels;
}

static real dot(const real *a, const real *b, int count) {
    real sum = 0;
    for (int i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* y += factor x */
static void add_scaled(real *y, real factor, const real *x, int count) {
    for (int i = 0; i < count; i++)
        y[i] += factor * x[i];
}

static real hard_sigmoid(real y) {
    return y <= -3 ? 0 : y >= 3 ? 1 : (y + 3) / 6;
}

static void excite_forward(const struct excite *excite) {
    const struct squeeze_excite *squeeze = excite->squeeze;
    for (int h = 0; h < excite->hidden; h++) {
        real y = squeeze->reduce_bias[h] +
                 dot(squeeze->reduce + reduce_row(squeeze, h), excite->pooled, excite->channels);
        excite->hidden_values[h] = y > 0 ? y : 0;
    }
    for (int c = 0; c < excite->channels; c++)
        excite->gate[c] =
            hard_sigmoid(squeeze->expand_bias[c] + dot(squeeze->expand + expand_row(squeeze, c),
                                                       excite->hidden_values, excite->hidden));
}

enum status squeeze_excite_forward(const struct squeeze_excite *squeeze,
                                   const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        for (int image = 0; image < segment->images; image++) {
            struct excite excite = excite_of(squeeze, segment, image);
            view_image_mean(&squeeze->input, segment, image, excite.pooled,
                            (struct scratch){slice->scratch});
            excite_forward(&excite);
        }
    }
    return STATUS_OK;
}

/* The gradients of an image's vectors, and where rows of `a` are made. */
struct excite_gradient {
    real *gate, *hidden, *pooled;
    real *room;
};

/* From d loss / d gate to d loss / d pooled; adds the parameters' gradients. */
static void excite_backward(const struct excite *excite, const struct excite_gradient *d,
                            real *gradient) {
    const struct squeeze_excite *squeeze = excite->squeeze;
    memset(d->hidden, 0, (size_t)excite->hidden * sizeof(real));
    memset(d->pooled, 0, (size_t)excite->channels * sizeof(real));
    for (int c = 0; c < excite->channels; c++) {
        real dy = excite->gate[c] > 0 && excite->gate[c] < 1 ? d->gate[c] / 6 : 0;
        size_t row = expand_row(squeeze, c);
        gradient[squeeze->expand_bias_offset + c] += dy;
        add_scaled(gradient + squeeze->expand_offset + row, dy, excite->hidden_values,
                   excite->hidden);
        add_scaled(d->hidden, dy, squeeze->expand + row, excite->hidden);
    }
    for (int h = 0; h < excite->hidden; h++) {
        real dy = excite->hidden_values[h] > 0 ? d->hidden[h] : 0;
        size_t row = reduce_row(squeeze, h);
        gradient[squeeze->reduce_bias_offset + h] += dy;
        add_scaled(gradient + squeeze->reduce_offset + row, dy, excite->pooled, excite->channels);
        add_scaled(d->pooled, dy, squeeze->reduce + row, excite->channels);
    }
}

/* Rows of d loss / d (a gate), which the consumer has left in the input's gradient. */
static struct rows entry_rows(const struct squeeze_excite *squeeze, const struct segment *segment,
                              int first) {
    const struct tensor *gradient = squeeze->input.gradient;
    int ld = tensor_ld(gradient, segment);
    return (struct rows){.at = tensor_segment(gradient, segment) + (size_t)first * ld, .ld = ld};
}

static int panel_end(int first, int end) {
    return end - first < PANEL_ROWS ? end : first + PANEL_ROWS;
}

/* d loss / d gate = sum over the image's pixels of d (a gate) a. */
static void gate_gradient(const struct squeeze_excite *squeeze, const struct segment *segment,
                          int from, int end, int channels, const struct excite_gradient *d) {
    memset(d->gate, 0, (size_t)round_up(channels, CHANNEL_ALIGN) * sizeof(real));
    for (int first = from; first < end; first += PANEL_ROWS) {
        int count = panel_end(first, end) - first;
        struct rows a = view_rows(&squeeze->input, segment, first, count, d->room);
        struct rows entry = entry_rows(squeeze, segment, first);
        for (int c = 0; c < channels; c += LANES) {
            vec panel = vec_splat(0);
            for (int r = 0; r < count; r++)
                panel += vec_load(entry.at + (size_t)r * entry.ld + c) *
                         vec_load(a.at + (size_t)r * a.ld + c);
            vec_store(d->gate + c, vec_load(d->gate + c) + panel);
        }
    }
}

/* d loss / d a = d (a gate) gate + d pooled / pixels, and on through the activation. */
static void input_gradient(struct view_gradient *gradient, const struct excite *excite, int from,
                           int end, const struct excite_gradient *d) {
    for (int c = 0; c < excite->channels; c++)
        d->pooled[c] /= (real)(end - from);
    for (int first = from; first < end; first += PANEL_ROWS) {
        int count = panel_end(first, end) - first;
        struct rows entry = entry_rows(excite->squeeze, gradient->segment, first);
        struct target da = view_gradient_target(gradient, first, d->room);
        for (int r = 0; r < count; r++)
            for (int c = 0; c < excite->channels; c++)
                da.at[(size_t)r * da.ld + c] =
                    entry.at[(size_t)r * entry.ld + c] * excite->gate[c] + d->pooled[c];
        view_gradient_panel(gradient, first, count, da.at, da.ld);
    }
}

static void backward_segment(const struct squeeze_excite *squeeze, const struct segment *segment,
                             struct scratch scratch, real *gradient) {
    const struct view *input = &squeeze->input;
    int pixels = input->tensor->height * input->tensor->width, ld = view_ld(input, segment);
    struct view_gradient into;
    view_gradient_begin(&into, input, segment, &scratch);
    struct excite_gradient d = {.gate = scratch_reals(&scratch, ld),
                                .hidden =
                                    scratch_reals(&scratch, tensor_kept(&squeeze->hidden, segment)),
                                .pooled = scratch_reals(&scratch, ld),
                                .room = scratch_reals(&scratch, (size_t)PANEL_ROWS * ld)};
    for (int image = 0; image < segment->images; image++) {
        struct excite excite = excite_of(squeeze, segment, image);
        int from = image * pixels, end = from + pixels;
        gate_gradient(squeeze, segment, from, end, excite.channels, &d);
        excite_backward(&excite, &d, gradient);
        input_gradient(&into, &excite, from, end, &d);
    }
    view_gradient_end(&into);
}

enum status squeeze_excite_backward(const struct squeeze_excite *squeeze,
                                    const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        if (tensor_kept(&squeeze->pooled, segment) > 0)
            backward_segment(squeeze, segment, (struct scratch){slice->scratch}, slice->gradient);
        else
            view_gradient_absent(&squeeze->input, segment);
    }
    return STATUS_OK;
}
