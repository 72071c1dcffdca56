/* What the pointwise and the dense convolution share: both are products of panels of pixels with
 * the weights. Here is the output side, and the gradients of the parameters; view.h has the input
 * side. Pixels are counted within the segment. */
#ifndef TAPER_CONVOLUTION_H
#define TAPER_CONVOLUTION_H

#include "ops.h"
#include "view.h"

/* Writing the output of one segment: begin; for each panel the product goes to where target says,
 * then panel adds the bias and sums the moments of z up while it is in the cache; end. `room`
 * holds PANEL_ROWS pixels at the leading dimension output_ld(). */
struct output {
    const struct convolution *convolution;
    const struct segment *segment;
    struct channel_sums sums;
    int kept;
    int in_place; /* whole vectors may be written to the tensor */
};

static inline int output_ld(const struct convolution *convolution, const struct segment *segment) {
    return round_up(tensor_kept(&convolution->output, segment), CHANNEL_ALIGN);
}

void output_begin(struct output *output, const struct convolution *convolution,
                  const struct segment *segment, struct scratch *scratch);
struct target output_target(const struct output *output, int first, real *room);
void output_panel(struct output *output, int first, int count, real *z, int ld);
void output_end(struct output *output);

/* The segment keeps no output channels. */
void output_absent(const struct convolution *convolution, const struct segment *segment);

/* d loss / dz of the pixels [first, first + count): in place, or made in room. */
struct rows output_gradient_rows(const struct convolution *convolution,
                                 const struct segment *segment, int first, int count, real *room);

/* Sum over pixels of dz a^T for one segment, in scratch: whole vectors also cover dropped weights,
 * which must get nothing, so that only the kept ones are added to the gradient afterwards. Vectors
 * run along the inputs or along the outputs, whichever wastes fewer lanes. */
struct weight_sums {
    real *at;
    int ld;
    int inputs, outputs;
    int along_outputs;
    int empty;
};

void weight_sums_begin(struct weight_sums *sums, int inputs, int outputs, struct scratch *scratch);
void weight_sums_panel(struct weight_sums *sums, struct rows dz, struct rows a, int count);

/* The sums of one output's weights: input i's is at[i * stride]. */
struct weight_row {
    const real *at;
    int stride;
};

static inline struct weight_row weight_sums_row(const struct weight_sums *sums, int output) {
    if (sums->along_outputs)
        return (struct weight_row){.at = sums->at + output, .stride = sums->ld};
    return (struct weight_row){.at = sums->at + (size_t)output * sums->ld, .stride = 1};
}

/* Elements of the largest weight_sums. */
size_t weight_sums_size(int inputs, int outputs);

/* bias gradient[c] += sum of dz[c] over the pixels; nothing without a bias. */
void bias_gradient_panel(const struct convolution *convolution, const struct slice *slice,
                         struct rows dz, int count, int kept);

#endif
