/* Elementwise passes over a panel: some rows (pixels) of one segment, small enough that what one
 * pass writes is still in the first cache level when the next reads it. The convolutions, pool,
 * squeeze-excite and combine are made of these around their own loops.
 *
 * Rows are `ld` elements apart; `kept` channels count, whole vectors are processed: lanes past
 * `kept` hold anything and are written with anything. Sums are made in real over at most PANEL_ROWS
 * rows and added up in double.
 */
#ifndef TAPER_PANEL_H
#define TAPER_PANEL_H

#include "tensor.h"

enum { PANEL_ROWS = 64 };

/* One row of a batch-norm, as the segment's domain has it. All NULL: identity. */
struct norm_rows {
    const real *scale, *shift, *mean;
    const real *grad_y, *grad_z, *grad_one;
};
struct norm_rows norm_rows(const struct batch_norm *norm, const struct segment *segment);

/* out = activation(scale z + shift) * gate;  gate: one vector of channels for all rows, or NULL. */
void panel_activate(real *out, int ld_out, const real *z, int ld_z, int rows, int kept,
                    const struct norm_rows *norm, enum activation activation, const real *gate);

/* out = d loss / dz = grad_y dy + grad_z z + grad_one; identity norm: out = dy. */
void panel_gradient(real *out, int ld_out, const real *dy, int ld_dy, const real *z, int ld_z,
                    int rows, int kept, const struct norm_rows *norm);

/* What a segment sums up per channel: two numbers, in scratch or on the way to norm->partial. */
struct channel_sums {
    double *first, *second; /* [kept rounded up to CHANNEL_ALIGN] */
    const real *origin;     /* moments: any value near the channel's mean, so that squares of
                               deviations do not cancel */
};
void channel_sums_clear(struct channel_sums *sums, int kept);

/* dpre = da * activation'(scale z + shift) (dpre may be da, or NULL: not written); with sums !=
 * NULL also first += dpre, second += dpre (z - mean). */
void panel_through_activation(real *dpre, int ld_dpre, const real *da, int ld_da, const real *z,
                              int ld_z, int rows, int kept, const struct norm_rows *norm,
                              enum activation activation, struct channel_sums *sums);

/* first += z - origin, second += (z - origin)^2. */
void panel_moments(const real *z, int ld_z, int rows, int kept, struct channel_sums *sums);

/* Writes the segment's row of norm->partial and row_count:
 * moments: mean and sum of squared deviations from it; gradient sums: as they are. */
void partial_from_moments(const struct batch_norm *norm, const struct segment *segment,
                          const struct channel_sums *sums, int kept, double rows);
void partial_from_gradient_sums(const struct batch_norm *norm, const struct segment *segment,
                                const struct channel_sums *sums, int kept, double rows);

#endif
