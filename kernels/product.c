#include "product.h"
#include "vector.h"

/* A tile of the output stays in registers while the summed index runs: each step loads one vector
 * per column and one scalar per row and makes rows * columns multiply-adds. There must be enough of
 * these to hide their latency and to outweigh the loads, and accumulators, columns and one scalar
 * must fit the register file: 32 vectors with AVX-512, 16 before. */
enum { TILE_ROWS = VECTOR_BYTES == 64 ? 8 : 4, TILE_COLUMNS = 3, TALL_TILE_ROWS = 2 * TILE_ROWS };

/* Tiles are loops of constant length that must vanish, so that arrays become registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* The left operand is read by scalars, left[row * row_stride + step * step_stride]: this way the
 * tile serves both products. The other two are rows of vectors. */
struct operands {
    real *out;
    const real *left, *right;
    ptrdiff_t ld_out, row_stride, step_stride, ld_right;
    int steps;
};

INLINE void tile(int rows, int columns, enum product_store store, const struct operands *at,
                 int row) {
    vec sum[TALL_TILE_ROWS][TILE_COLUMNS];
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < columns; j++)
            sum[i][j] = vec_splat(0);
    }
    /* An address is one of these plus 0 to 3 strides: as many as there are registers for. */
    const real *left[TALL_TILE_ROWS / 4], *right = at->right;
    UNROLL
    for (int i = 0; i < rows; i += 4)
        left[i / 4] = at->left + (row + i) * at->row_stride;
    for (int step = 0; step < at->steps; step++) {
        vec column[TILE_COLUMNS];
        UNROLL
        for (int j = 0; j < columns; j++)
            column[j] = vec_load_once(right + j * LANES);
        UNROLL
        for (int i = 0; i < rows; i++) {
            vec scalar = vec_splat(left[i / 4][i % 4 * at->row_stride]);
            UNROLL
            for (int j = 0; j < columns; j++)
                sum[i][j] += scalar * column[j];
        }
        UNROLL
        for (int i = 0; i < rows; i += 4)
            left[i / 4] += at->step_stride;
        right += at->ld_right;
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        real *out = at->out + (row + i) * at->ld_out;
        UNROLL
        for (int j = 0; j < columns; j++) {
            vec old = store == PRODUCT_ADD ? vec_load(out + j * LANES) : vec_splat(0);
            vec_store(out + j * LANES, store == PRODUCT_ADD ? old + sum[i][j] : sum[i][j]);
        }
    }
}

/* All rows of one strip of columns: its part of the right operand stays in the first cache. */
INLINE void strip(int columns, enum product_store store, const struct operands *at, int rows) {
    int row = 0;
    if (columns == 1) {
        for (; rows - row >= TALL_TILE_ROWS; row += TALL_TILE_ROWS)
            tile(TALL_TILE_ROWS, columns, store, at, row);
    }
    for (; rows - row >= TILE_ROWS; row += TILE_ROWS)
        tile(TILE_ROWS, columns, store, at, row);
    if (TILE_ROWS > 4 && rows - row >= 4) {
        tile(4, columns, store, at, row);
        row += 4;
    }
    if (rows - row >= 2) {
        tile(2, columns, store, at, row);
        row += 2;
    }
    if (rows - row >= 1)
        tile(1, columns, store, at, row);
}

INLINE void strips(enum product_store store, struct operands at, int rows, int width) {
    for (int left = vec_count(width); left > 0;) {
        int columns = left == 4 ? 2 : left < TILE_COLUMNS ? left : TILE_COLUMNS;
        if (columns == 3)
            strip(3, store, &at, rows);
        else if (columns == 2)
            strip(2, store, &at, rows);
        else
            strip(1, store, &at, rows);
        at.out += columns * LANES;
        at.right += columns * LANES;
        left -= columns;
    }
}

void product(enum product_store store, real *y, int ld_y, const real *x, int ld_x, const real *w,
             int ld_w, int rows, int depth, int width) {
    struct operands at = {.out = y,
                          .left = x,
                          .right = w,
                          .ld_out = ld_y,
                          .row_stride = ld_x,
                          .step_stride = 1,
                          .ld_right = ld_w,
                          .steps = depth};
    if (store == PRODUCT_SET)
        strips(PRODUCT_SET, at, rows, width);
    else
        strips(PRODUCT_ADD, at, rows, width);
}

void product_of_columns(enum product_store store, real *g, int ld_g, const real *a, int ld_a,
                        const real *b, int ld_b, int rows, int height, int width) {
    struct operands at = {.out = g,
                          .left = a,
                          .right = b,
                          .ld_out = ld_g,
                          .row_stride = 1,
                          .step_stride = ld_a,
                          .ld_right = ld_b,
                          .steps = rows};
    if (store == PRODUCT_SET)
        strips(PRODUCT_SET, at, height, width);
    else
        strips(PRODUCT_ADD, at, height, width);
}
