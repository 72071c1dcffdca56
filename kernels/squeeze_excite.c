/* Squeeze-excite: gate = hard_sigmoid(expand relu(reduce mean(a) + b) + b), prefixes of the
 * weights. The matrices meet one vector per image: plain loops over rows. */
#include "cpu.h"
#include "panel.h"
#include "scratch.h"

#include <string.h>

void view_mean(const struct view *view, const struct segment *segment, int image, real *mean,
               void *scratch);

static real hard_sigmoid(real y) {
    return y <= -3 ? 0 : y >= 3 ? 1 : (y + 3) / 6;
}

enum status squeeze_excite_forward(const struct squeeze_excite *squeeze,
                                   const struct slice *slice) {
    int full = squeeze->pooled.channels, full_hidden = squeeze->hidden.channels;
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        int channels = tensor_kept(&squeeze->pooled, segment);
        int hidden_channels = tensor_kept(&squeeze->hidden, segment);
        for (int image = 0; image < segment->images && channels > 0; image++) {
            real *pooled = tensor_image(&squeeze->pooled, segment, image);
            real *hidden = tensor_image(&squeeze->hidden, segment, image);
            real *gate = tensor_image(&squeeze->gate, segment, image);
            view_mean(&squeeze->input, segment, image, pooled, slice->scratch);
            for (int s = 0; s < hidden_channels; s++) {
                real sum = squeeze->reduce_bias[s];
                for (int c = 0; c < channels; c++)
                    sum += squeeze->reduce[(size_t)s * full + c] * pooled[c];
                hidden[s] = sum > 0 ? sum : 0;
            }
            for (int c = 0; c < channels; c++) {
                real sum = squeeze->expand_bias[c];
                for (int s = 0; s < hidden_channels; s++)
                    sum += squeeze->expand[(size_t)c * full_hidden + s] * hidden[s];
                gate[c] = hard_sigmoid(sum);
            }
        }
    }
    return STATUS_OK;
}

struct squeeze_work {
    real *a;       /* [PANEL_ROWS][ld] activated pixels */
    real *dgate;   /* [ld] d loss / d gate */
    real *dhidden; /* [hidden] */
    real *dpooled; /* [ld] d loss / d mean(a), divided by the pixels */
    struct channel_sums sums;
    int channels, hidden, ld;
};

/* dgate[c] = sum over pixels of d(a gate)[c] a[c]. */
static void gate_gradient(const struct squeeze_excite *squeeze, const struct segment *segment,
                          int image, struct squeeze_work *work) {
    const struct tensor *tensor = squeeze->input.tensor;
    int pixels = tensor->height * tensor->width, ld_z = tensor_ld(tensor, segment);
    int ld_d = tensor_ld(squeeze->input.gradient, segment);
    struct norm_rows norm = norm_rows(squeeze->input.norm, segment);
    const real *z = tensor_image(tensor, segment, image);
    const real *d = tensor_image(squeeze->input.gradient, segment, image);
    memset(work->dgate, 0, (size_t)work->ld * sizeof(real));
    for (int first = 0; first < pixels; first += PANEL_ROWS) {
        int count = pixels - first < PANEL_ROWS ? pixels - first : PANEL_ROWS;
        panel_activate(work->a, work->ld, z + (size_t)first * ld_z, ld_z, count, work->channels,
                       &norm, squeeze->input.activation, NULL);
        for (int r = 0; r < count; r++)
            for (int c = 0; c < work->channels; c++)
                work->dgate[c] +=
                    work->a[(size_t)r * work->ld + c] * d[(size_t)(first + r) * ld_d + c];
    }
}

/* Through the two small products: parameter gradients, and dpooled. */
static void excite_backward(const struct squeeze_excite *squeeze, const struct segment *segment,
                            int image, struct squeeze_work *work, real *gradient) {
    int full = squeeze->pooled.channels, full_hidden = squeeze->hidden.channels;
    const real *pooled = tensor_image(&squeeze->pooled, segment, image);
    const real *hidden = tensor_image(&squeeze->hidden, segment, image);
    const real *gate = tensor_image(&squeeze->gate, segment, image);
    memset(work->dhidden, 0, (size_t)work->hidden * sizeof(real));
    memset(work->dpooled, 0, (size_t)work->ld * sizeof(real));
    for (int c = 0; c < work->channels; c++) {
        real d = gate[c] > 0 && gate[c] < 1 ? work->dgate[c] / 6 : 0;
        const real *row = squeeze->expand + (size_t)c * full_hidden;
        real *into = gradient + squeeze->expand_offset + (size_t)c * full_hidden;
        gradient[squeeze->expand_bias_offset + c] += d;
        for (int s = 0; s < work->hidden; s++) {
            into[s] += d * hidden[s];
            work->dhidden[s] += d * row[s];
        }
    }
    for (int s = 0; s < work->hidden; s++) {
        real d = hidden[s] > 0 ? work->dhidden[s] : 0;
        const real *row = squeeze->reduce + (size_t)s * full;
        real *into = gradient + squeeze->reduce_offset + (size_t)s * full;
        gradient[squeeze->reduce_bias_offset + s] += d;
        for (int c = 0; c < work->channels; c++) {
            into[c] += d * pooled[c];
            work->dpooled[c] += d * row[c];
        }
    }
    real pixels = (real)(squeeze->input.tensor->height * squeeze->input.tensor->width);
    for (int c = 0; c < work->channels; c++)
        work->dpooled[c] /= pixels;
}

/* da = d(a gate) gate + dpooled / pixels, in place; then through the activation, with sums. */
static void input_gradient(const struct squeeze_excite *squeeze, const struct segment *segment,
                           int image, struct squeeze_work *work) {
    const struct tensor *tensor = squeeze->input.tensor;
    int pixels = tensor->height * tensor->width, ld_z = tensor_ld(tensor, segment);
    int ld_d = tensor_ld(squeeze->input.gradient, segment);
    struct norm_rows norm = norm_rows(squeeze->input.norm, segment);
    const real *gate = tensor_image(&squeeze->gate, segment, image);
    const real *z = tensor_image(tensor, segment, image);
    real *d = tensor_image(squeeze->input.gradient, segment, image);
    for (int first = 0; first < pixels; first += PANEL_ROWS) {
        int count = pixels - first < PANEL_ROWS ? pixels - first : PANEL_ROWS;
        real *panel = d + (size_t)first * ld_d;
        for (int r = 0; r < count; r++)
            for (int c = 0; c < work->channels; c++)
                panel[(size_t)r * ld_d + c] =
                    panel[(size_t)r * ld_d + c] * gate[c] + work->dpooled[c];
        panel_through_activation(panel, ld_d, panel, ld_d, z + (size_t)first * ld_z, ld_z, count,
                                 work->channels, &norm, squeeze->input.activation,
                                 squeeze->input.norm ? &work->sums : NULL);
    }
}

enum status squeeze_excite_backward(const struct squeeze_excite *squeeze,
                                    const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        struct scratch scratch = {slice->scratch};
        struct squeeze_work work = {.channels = tensor_kept(&squeeze->pooled, segment),
                                    .hidden = tensor_kept(&squeeze->hidden, segment)};
        work.ld = round_up(work.channels, CHANNEL_ALIGN);
        work.a = scratch_reals(&scratch, (size_t)PANEL_ROWS * work.ld);
        work.dgate = scratch_reals(&scratch, work.ld);
        work.dpooled = scratch_reals(&scratch, work.ld);
        work.dhidden = scratch_reals(&scratch, work.hidden);
        work.sums = (struct channel_sums){.first = scratch_doubles(&scratch, work.ld),
                                          .second = scratch_doubles(&scratch, work.ld)};
        struct batch_norm *norm = squeeze->input.norm;
        if (work.channels == 0) {
            if (norm)
                norm->row_count[segment->index] = 0;
            continue;
        }
        channel_sums_clear(&work.sums, work.channels);
        for (int image = 0; image < segment->images; image++) {
            gate_gradient(squeeze, segment, image, &work);
            excite_backward(squeeze, segment, image, &work, slice->gradient);
            input_gradient(squeeze, segment, image, &work);
        }
        if (norm)
            partial_from_gradient_sums(norm, segment, &work.sums, work.channels,
                                       (double)segment->images * squeeze->input.tensor->height *
                                           squeeze->input.tensor->width);
    }
    return STATUS_OK;
}
