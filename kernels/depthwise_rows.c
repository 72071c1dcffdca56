#include "depthwise_rows.h"
#include "vector.h"

/* Pixels of a block: whole blocks of 8, 7 or 4 must waste little for widths like 32, 28, 14 and 4;
 * 7 or more accumulators hide the latency of a multiply-add. */
static int block_of(int pixels) {
    if (pixels <= 4)
        return 4;
    return round_up(pixels, 7) < round_up(pixels, 8) ? 7 : 8;
}

/* At stride 2 an input gradient's block covers whole pairs of pixels. */
static int gradient_block_of(const struct depthwise_shape *shape) {
    int block = block_of(shape->width);
    return block == 7 && shape->stride == 2 ? 14 : block;
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

int depthwise_input_left(const struct depthwise_shape *shape) {
    return shape->kernel / 2;
}

int depthwise_input_pixels(const struct depthwise_shape *shape) {
    int outputs = round_up(shape->out_width, block_of(shape->out_width));
    return larger(shape->width + shape->kernel - 1, (outputs - 1) * shape->stride + shape->kernel);
}

int depthwise_output_left(const struct depthwise_shape *shape) {
    return shape->kernel / 2 / shape->stride;
}

int depthwise_output_pixels(const struct depthwise_shape *shape) {
    int padding = shape->kernel / 2;
    int outputs = round_up(shape->out_width, block_of(shape->out_width));
    int read = (depthwise_gradient_pixels(shape) - 1 + padding) / shape->stride + 1;
    return depthwise_output_left(shape) + larger(outputs, read);
}

int depthwise_gradient_pixels(const struct depthwise_shape *shape) {
    return round_up(shape->width, gradient_block_of(shape));
}

/* Statements for each size as a constant. */
#define FOR_KERNEL(kernel, statement)                                                              \
    switch (kernel) {                                                                              \
    case 1: {                                                                                      \
        enum { K = 1 };                                                                            \
        statement;                                                                                 \
    } break;                                                                                       \
    case 3: {                                                                                      \
        enum { K = 3 };                                                                            \
        statement;                                                                                 \
    } break;                                                                                       \
    case 5: {                                                                                      \
        enum { K = 5 };                                                                            \
        statement;                                                                                 \
    } break;                                                                                       \
    case 7: {                                                                                      \
        enum { K = 7 };                                                                            \
        statement;                                                                                 \
    } break;                                                                                       \
    }
#define FOR_BLOCK(block, sevens, statement)                                                        \
    switch (block) {                                                                               \
    case 4: {                                                                                      \
        enum { N = 4 };                                                                            \
        statement;                                                                                 \
    } break;                                                                                       \
    case 8: {                                                                                      \
        enum { N = 8 };                                                                            \
        statement;                                                                                 \
    } break;                                                                                       \
    default: {                                                                                     \
        enum { N = sevens };                                                                       \
        statement;                                                                                 \
    } break;                                                                                       \
    }

enum { BLOCK_MOST = 14 };

INLINE void load_taps(const int K, vec *weight, const real *taps, int ld) {
#pragma GCC unroll 32
    for (int kx = 0; kx < K; kx++)
        weight[kx] = vec_load(taps + kx * ld);
}

/* Each input pixel is loaded once per tap row and meets all outputs of the block that use it. */
INLINE void forward_block(const int K, const int S, const int N, vec *sum, int c, int x, int ld,
                          const struct depthwise_taps *pairs) {
    for (int pair = 0; pair < pairs->count; pair++) {
        vec weight[DEPTHWISE_KERNEL_MOST];
        load_taps(K, weight, pairs->taps[pair] + c, pairs->ld_tap);
        const real *row = pairs->row[pair] + (size_t)x * S * ld + c;
#pragma GCC unroll 32
        for (int j = 0; j < (N - 1) * S + K; j++) {
            vec input = vec_load(row + (size_t)j * ld);
#pragma GCC unroll 32
            for (int i = 0; i < N; i++) {
                int kx = j - S * i;
                if (kx >= 0 && kx < K)
                    sum[i] += input * weight[kx];
            }
        }
    }
}

INLINE void forward_row(const int K, const int S, const int N, real *out, int ld_out,
                        const struct depthwise_shape *shape, const struct depthwise_taps *pairs,
                        const real *bias) {
    for (int c = 0; c < shape->kept; c += LANES) {
        vec start = bias ? vec_load(bias + c) : vec_splat(0);
        for (int x = 0; x < shape->out_width; x += N) {
            vec sum[BLOCK_MOST];
#pragma GCC unroll 32
            for (int i = 0; i < N; i++)
                sum[i] = start;
            forward_block(K, S, N, sum, c, x, shape->ld, pairs);
            int valid = shape->out_width - x;
#pragma GCC unroll 32
            for (int i = 0; i < N; i++)
                if (i < valid)
                    vec_store(out + (size_t)(x + i) * ld_out + c, sum[i]);
        }
    }
}

void depthwise_row_forward(real *out, int ld_out, const struct depthwise_shape *shape,
                           const struct depthwise_taps *pairs, const real *bias) {
    int block = block_of(shape->out_width);
    if (shape->stride == 1)
        FOR_KERNEL(shape->kernel,
                   FOR_BLOCK(block, 7, forward_row(K, 1, N, out, ld_out, shape, pairs, bias)))
    else
        FOR_KERNEL(shape->kernel,
                   FOR_BLOCK(block, 7, forward_row(K, 2, N, out, ld_out, shape, pairs, bias)))
}

/* Output pixel i and pixel j of dz meet in tap kx = i + padding - stride j. */
INLINE void gradient_block(const int K, const int S, const int N, vec *sum, int c, int x, int ld,
                           const struct depthwise_taps *pairs) {
    const int padding = K / 2, left = padding / S, pixels = left + (N - 1 + padding) / S + 1;
    for (int pair = 0; pair < pairs->count; pair++) {
        vec weight[DEPTHWISE_KERNEL_MOST];
        load_taps(K, weight, pairs->taps[pair] + c, pairs->ld_tap);
        const real *row = pairs->row[pair] + (size_t)(x / S) * ld + c;
#pragma GCC unroll 32
        for (int j = 0; j < pixels; j++) {
            vec dz = vec_load(row + (size_t)j * ld);
#pragma GCC unroll 32
            for (int i = 0; i < N; i++) {
                int kx = i + padding - S * (j - left);
                if (kx >= 0 && kx < K)
                    sum[i] += dz * weight[kx];
            }
        }
    }
}

INLINE void gradient_row(const int K, const int S, const int N, real *out,
                         const struct depthwise_shape *shape, const struct depthwise_taps *pairs) {
    for (int c = 0; c < shape->kept; c += LANES)
        for (int x = 0; x < shape->width; x += N) {
            vec sum[BLOCK_MOST];
#pragma GCC unroll 32
            for (int i = 0; i < N; i++)
                sum[i] = vec_splat(0);
            gradient_block(K, S, N, sum, c, x, shape->ld, pairs);
#pragma GCC unroll 32
            for (int i = 0; i < N; i++)
                vec_store(out + (size_t)(x + i) * shape->ld + c, sum[i]);
        }
}

void depthwise_row_input_gradient(real *out, const struct depthwise_shape *shape,
                                  const struct depthwise_taps *pairs) {
    int block = gradient_block_of(shape);
    if (shape->stride == 1)
        FOR_KERNEL(shape->kernel, FOR_BLOCK(block, 7, gradient_row(K, 1, N, out, shape, pairs)))
    else
        FOR_KERNEL(shape->kernel, FOR_BLOCK(block, 14, gradient_row(K, 2, N, out, shape, pairs)))
}

/* Rows [first_tap, first_tap + R) of the taps, over one row of outputs. */
INLINE void weight_row(const int K, const int S, const int N, const int R,
                       vec (*sum)[DEPTHWISE_KERNEL_MOST], const struct depthwise_shape *shape,
                       const real *const *input, const real *dz) {
    size_t ld = shape->ld;
    for (int x = 0; x < shape->out_width; x += N) {
        vec gradient[BLOCK_MOST];
#pragma GCC unroll 32
        for (int i = 0; i < N; i++)
            gradient[i] = vec_load(dz + (size_t)(x + i) * ld);
#pragma GCC unroll 32
        for (int r = 0; r < R; r++) {
            const real *row = input[r] + (size_t)x * S * ld;
#pragma GCC unroll 32
            for (int j = 0; j < (N - 1) * S + K; j++) {
                vec pixel = vec_load(row + (size_t)j * ld);
#pragma GCC unroll 32
                for (int i = 0; i < N; i++) {
                    int kx = j - S * i;
                    if (kx >= 0 && kx < K)
                        sum[r][kx] += pixel * gradient[i];
                }
            }
        }
    }
}

/* The sums of R rows of taps, from first_tap on, stay in registers over the whole image; images are
 * added up apart, which keeps the chains of roundings short. */
INLINE void weight_taps(const int K, const int S, const int N, const int R, int first_tap,
                        real *sums, const struct depthwise_shape *shape, const real *input,
                        const real *zeros, const real *dz) {
    size_t input_row = (size_t)depthwise_input_pixels(shape) * shape->ld;
    size_t output_row = (size_t)depthwise_output_pixels(shape) * shape->ld;
    dz += (size_t)depthwise_output_left(shape) * shape->ld;
    for (int c = 0; c < shape->kept; c += LANES) {
        real *into = sums + (size_t)first_tap * K * shape->ld + c;
        vec sum[R][DEPTHWISE_KERNEL_MOST];
#pragma GCC unroll 32
        for (int r = 0; r < R; r++) {
#pragma GCC unroll 32
            for (int kx = 0; kx < K; kx++)
                sum[r][kx] = vec_splat(0);
        }
        for (int y = 0; y < shape->out_height; y++) {
            const real *rows[R];
#pragma GCC unroll 32
            for (int r = 0; r < R; r++) {
                int at = y * S + first_tap + r - K / 2;
                rows[r] = (at >= 0 && at < shape->height ? input + at * input_row : zeros) + c;
            }
            weight_row(K, S, N, R, sum, shape, rows, dz + y * output_row + c);
        }
#pragma GCC unroll 32
        for (int r = 0; r < R; r++) {
#pragma GCC unroll 32
            for (int kx = 0; kx < K; kx++) {
                real *at = into + (size_t)(r * K + kx) * shape->ld;
                vec_store(at, vec_load(at) + sum[r][kx]);
            }
        }
    }
}

/* As many rows of taps at a time as have room beside a block of dz in 32 registers. */
INLINE void weight_image(const int K, const int S, const int N, real *sum,
                         const struct depthwise_shape *shape, const real *input, const real *zeros,
                         const real *dz) {
    if (K <= 3) {
        weight_taps(K, S, N, K, 0, sum, shape, input, zeros, dz);
        return;
    }
    weight_taps(K, S, N, 3, 0, sum, shape, input, zeros, dz);
    weight_taps(K, S, N, 2, 3, sum, shape, input, zeros, dz);
    if (K == 7)
        weight_taps(K, S, N, 2, 5, sum, shape, input, zeros, dz);
}

void depthwise_weight_gradient(real *sum, const struct depthwise_shape *shape, const real *input,
                               const real *zeros, const real *dz) {
    int block = block_of(shape->out_width);
    if (shape->stride == 1)
        FOR_KERNEL(shape->kernel,
                   FOR_BLOCK(block, 7, weight_image(K, 1, N, sum, shape, input, zeros, dz)))
    else
        FOR_KERNEL(shape->kernel,
                   FOR_BLOCK(block, 7, weight_image(K, 2, N, sum, shape, input, zeros, dz)))
}
