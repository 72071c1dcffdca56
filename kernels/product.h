/* Matrix products on kept prefixes, the two shapes that convolutions need. Row-major, leading
 * dimensions in elements; nothing is packed or copied.
 *
 * The output's columns are computed in whole vectors: its rows, and those of the right operand, are
 * accessed up to `width` rounded up to CHANNEL_ALIGN, and what the spare lanes hold stays in the
 * spare lanes. Everything else is exact: nothing past `rows`, `depth` or `height` is read.
 * Sums run in the order of the summed index and do not depend on the sizes of the other two.
 */
#ifndef TAPER_PRODUCT_H
#define TAPER_PRODUCT_H

#include "tensor.h"

enum product_store { PRODUCT_SET, PRODUCT_ADD };

/* y[r][n] = (or +=) sum over k < depth of x[r][k] w[k][n]      r < rows, n < width */
void product(enum product_store store, real *y, int ld_y, const real *x, int ld_x, const real *w,
             int ld_w, int rows, int depth, int width);

/* g[m][n] = (or +=) sum over r < rows of a[r][m] b[r][n]       m < height, n < width */
void product_of_columns(enum product_store store, real *g, int ld_g, const real *a, int ld_a,
                        const real *b, int ld_b, int rows, int height, int width);

#endif
