/* The inner loops of the depthwise convolution: rows of pixels that lie in scratch, widened by
 * zeros, so that no tap has to ask whether its pixel exists.
 *
 * Outputs are made in blocks whose accumulators stay in registers; the last block of a row is
 * computed in full. That is why rows have slack on the right.
 */
#ifndef TAPER_DEPTHWISE_ROWS_H
#define TAPER_DEPTHWISE_ROWS_H

#include "tensor.h"

enum { DEPTHWISE_KERNEL_MOST = 7 };

/* One segment's convolution: what all rows share. */
struct depthwise_shape {
    int kernel, stride; /* 1, 3, 5 or 7; 1 or 2 */
    int height, width, out_height, out_width;
    int kept; /* channels */
    int ld;   /* of pixels in scratch and of sums: kept rounded up to CHANNEL_ALIGN */
    /* Filled by depthwise_plan(), in pixels: blocks, and of the widened rows of input and of dz the
     * zeros before the first pixel and the whole length. */
    int forward_block, gradient_block, weight_block;
    int input_left, input_pixels, output_left, output_pixels;
};
void depthwise_plan(struct depthwise_shape *shape);

/* The tap rows that meet an existing row, in pairs: what lies outside the image is not computed. */
struct depthwise_taps {
    int count;
    const real *taps[DEPTHWISE_KERNEL_MOST]; /* first tap of the tap row */
    const real *row[DEPTHWISE_KERNEL_MOST];  /* start of the widened row that it multiplies */
    int ld_tap;
};

/* out[x] = sum over pairs, kx of taps[kx] row[stride x + kx], for out_width pixels. */
void depthwise_row_forward(real *out, int ld_out, const struct depthwise_shape *shape,
                           const struct depthwise_taps *pairs);

/* out[x] = sum over pairs, kx of taps[kx] row[(x + padding - kx) / stride] where that is whole, for
 * width pixels `ld` apart: the pairs hold rows of dz, of tap rows that differ by the stride. */
void depthwise_row_input_gradient(real *out, const struct depthwise_shape *shape,
                                  const struct depthwise_taps *pairs);

/* The rows of input that an output row was made of, each with the row ky of the kept taps. */
struct depthwise_inputs {
    int count;
    const real *row[DEPTHWISE_KERNEL_MOST]; /* start of the widened row */
    int tap_row[DEPTHWISE_KERNEL_MOST];
};

/* sums[ky][kx] += sum over x of row ky[stride x + kx] dz[x], for one row of outputs; dz: its first
 * pixel, with zeros behind its last. */
void depthwise_row_weight_gradient(real *sums, const struct depthwise_shape *shape,
                                   const struct depthwise_inputs *inputs, const real *dz);

#endif
