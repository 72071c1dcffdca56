#include "depthwise_rows.h"
#include "vector.h"

/* Pixels of a block: the size that wastes least in the last block of a row, for widths like 32, 28,
 * 14, 7 and 4; among equals the largest, since a loaded tap then serves most pixels. */
static int block_of(int pixels, int most, int even) {
    static const int blocks[] = {16, 14, 8, 7};
    int best = 8;
    if (pixels <= 4 || most <= 4)
        return 4;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (blocks[i] > most || (even && blocks[i] % 2 != 0))
            continue;
        int saved = round_up(pixels, best) - round_up(pixels, blocks[i]);
        if (saved > 0 || (saved == 0 && blocks[i] > best))
            best = blocks[i];
    }
    return best;
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

void depthwise_plan(struct depthwise_shape *shape) {
    int kernel = shape->kernel, stride = shape->stride, padding = kernel / 2;
    shape->forward_block = block_of(shape->out_width, REGISTERS / 2, 0);
    /* At stride 2 a block covers whole pairs of pixels. */
    shape->gradient_block = block_of(shape->width, REGISTERS / 2, stride == 2);
    /* The block of dz shares the registers with the sums. */
    shape->weight_block = block_of(shape->out_width, REGISTERS / 4, 0);

    int outputs = larger(round_up(shape->out_width, shape->forward_block),
                         round_up(shape->out_width, shape->weight_block));
    int inputs = round_up(shape->width, shape->gradient_block);
    shape->input_left = padding;
    shape->input_pixels = larger(shape->width + 2 * padding, (outputs - 1) * stride + kernel);
    shape->output_left = padding / stride;
    shape->output_pixels =
        shape->output_left + larger(outputs, (inputs - 1 + padding) / stride + 1);
}

/* Statements for each size as a constant. */
#define CASE(name, value, statement)                                                               \
    case value: {                                                                                  \
        enum { name = value };                                                                     \
        statement;                                                                                 \
    } break;
#define FOR_KERNEL(kernel, statement)                                                              \
    switch (kernel) {                                                                              \
        CASE(K, 1, statement)                                                                      \
        CASE(K, 3, statement)                                                                      \
        CASE(K, 5, statement)                                                                      \
        CASE(K, 7, statement)                                                                      \
    }
#define FOR_BLOCK(block, statement)                                                                \
    switch (block) {                                                                               \
        CASE(N, 4, statement)                                                                      \
        CASE(N, 7, statement)                                                                      \
        CASE(N, 8, statement)                                                                      \
        CASE(N, 14, statement)                                                                     \
        CASE(N, 16, statement)                                                                     \
    }
#define FOR_EVEN_BLOCK(block, statement)                                                           \
    switch (block) {                                                                               \
        CASE(N, 4, statement)                                                                      \
        CASE(N, 8, statement)                                                                      \
        CASE(N, 14, statement)                                                                     \
        CASE(N, 16, statement)                                                                     \
    }
#define FOR_SMALL_BLOCK(block, statement)                                                          \
    switch (block) {                                                                               \
        CASE(N, 4, statement)                                                                      \
        CASE(N, 7, statement)                                                                      \
        CASE(N, 8, statement)                                                                      \
    }

/* Loops over the registers of a block must vanish, whatever the compiler thinks of their size.
 * Sanitizers check every access and so compile unrolled loops for minutes: there they stay loops.
 */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define UNROLL
#elif defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#endif

enum { BLOCK_MOST = 16, TAP_ROWS_MOST = 3 };

INLINE void load_taps(const int K, vec *weight, const real *taps, int ld) {
    UNROLL
    for (int kx = 0; kx < K; kx++)
        weight[kx] = vec_load(taps + kx * ld);
}

/* The last block of a row may have fewer pixels than were computed. */
INLINE void store_block(const int N, real *out, int ld, const vec *sum, int valid) {
    UNROLL
    for (int i = 0; i < N; i++)
        if (i < valid)
            vec_store(out + (size_t)i * ld, sum[i]);
}

/* Each input pixel is loaded once per tap row and meets all outputs of the block that use it. */
INLINE void forward_block(const int K, const int S, const int N, vec *sum, int c, int x, int ld,
                          const struct depthwise_taps *pairs) {
    for (int pair = 0; pair < pairs->count; pair++) {
        vec weight[DEPTHWISE_KERNEL_MOST];
        load_taps(K, weight, pairs->taps[pair] + c, pairs->ld_tap);
        const real *row = pairs->row[pair] + (size_t)x * S * ld + c;
        UNROLL
        for (int j = 0; j < (N - 1) * S + K; j++, row += ld) {
            vec input = vec_load_once(row);
            UNROLL
            for (int i = 0; i < N; i++) {
                int kx = j - S * i;
                if (kx >= 0 && kx < K)
                    sum[i] += input * weight[kx];
            }
        }
    }
}

INLINE void forward_row(const int K, const int S, const int N, real *out, int ld_out,
                        const struct depthwise_shape *shape, const struct depthwise_taps *pairs) {
    for (int c = 0; c < shape->kept; c += LANES) {
        for (int x = 0; x < shape->out_width; x += N) {
            vec sum[BLOCK_MOST];
            UNROLL
            for (int i = 0; i < N; i++)
                sum[i] = vec_splat(0);
            forward_block(K, S, N, sum, c, x, shape->ld, pairs);
            store_block(N, out + (size_t)x * ld_out + c, ld_out, sum, shape->out_width - x);
        }
    }
}

void depthwise_row_forward(real *out, int ld_out, const struct depthwise_shape *shape,
                           const struct depthwise_taps *pairs) {
    int block = shape->forward_block;
    if (shape->stride == 1)
        FOR_KERNEL(shape->kernel, FOR_BLOCK(block, forward_row(K, 1, N, out, ld_out, shape, pairs)))
    else
        FOR_KERNEL(shape->kernel, FOR_BLOCK(block, forward_row(K, 2, N, out, ld_out, shape, pairs)))
}

/* Output pixel i and pixel j of dz meet in tap kx = i + padding - stride j. */
INLINE void gradient_block(const int K, const int S, const int N, vec *sum, int c, int x, int ld,
                           const struct depthwise_taps *pairs) {
    const int padding = K / 2, left = padding / S, pixels = left + (N - 1 + padding) / S + 1;
    for (int pair = 0; pair < pairs->count; pair++) {
        vec weight[DEPTHWISE_KERNEL_MOST];
        load_taps(K, weight, pairs->taps[pair] + c, pairs->ld_tap);
        const real *row = pairs->row[pair] + (size_t)(x / S) * ld + c;
        UNROLL
        for (int j = 0; j < pixels; j++, row += ld) {
            vec dz = vec_load_once(row);
            UNROLL
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
            UNROLL
            for (int i = 0; i < N; i++)
                sum[i] = vec_splat(0);
            gradient_block(K, S, N, sum, c, x, shape->ld, pairs);
            store_block(N, out + (size_t)x * shape->ld + c, shape->ld, sum, shape->width - x);
        }
}

void depthwise_row_input_gradient(real *out, const struct depthwise_shape *shape,
                                  const struct depthwise_taps *pairs) {
    int block = shape->gradient_block;
    if (shape->stride == 1)
        FOR_KERNEL(shape->kernel, FOR_BLOCK(block, gradient_row(K, 1, N, out, shape, pairs)))
    else
        FOR_KERNEL(shape->kernel, FOR_EVEN_BLOCK(block, gradient_row(K, 2, N, out, shape, pairs)))
}

/* R rows of taps over one row of outputs; their sums stay in registers along the row. */
INLINE void weight_taps(const int K, const int S, const int N, const int R, real *sums, int c,
                        const struct depthwise_shape *shape, const real *const *input,
                        const int *tap_row, const real *dz) {
    size_t ld = shape->ld;
    vec sum[TAP_ROWS_MOST][DEPTHWISE_KERNEL_MOST];
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int kx = 0; kx < K; kx++)
            sum[r][kx] = vec_load(sums + (size_t)(tap_row[r] * K + kx) * ld + c);
    }
    for (int x = 0; x < shape->out_width; x += N) {
        vec gradient[BLOCK_MOST];
        UNROLL
        for (int i = 0; i < N; i++)
            gradient[i] = vec_load_once(dz + (size_t)(x + i) * ld + c);
        UNROLL
        for (int r = 0; r < R; r++) {
            const real *row = input[r] + (size_t)x * S * ld + c;
            UNROLL
            for (int j = 0; j < (N - 1) * S + K; j++, row += ld) {
                vec pixel = vec_load_once(row);
                UNROLL
                for (int i = 0; i < N; i++) {
                    int kx = j - S * i;
                    if (kx >= 0 && kx < K)
                        sum[r][kx] += pixel * gradient[i];
                }
            }
        }
    }
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int kx = 0; kx < K; kx++)
            vec_store(sums + (size_t)(tap_row[r] * K + kx) * ld + c, sum[r][kx]);
    }
}

/* As many rows of taps at a time as have room beside a block of dz and a pixel. */
INLINE void weight_row(const int K, const int S, const int N, real *sums,
                       const struct depthwise_shape *shape, const struct depthwise_inputs *inputs,
                       const real *dz) {
    const int room = (REGISTERS - N - 1) / K, most = room < TAP_ROWS_MOST ? room : TAP_ROWS_MOST;
    const int R = most < K ? most : K;
    for (int c = 0; c < shape->kept; c += LANES) {
        int first = 0;
        for (; first + R <= inputs->count; first += R)
            weight_taps(K, S, N, R, sums, c, shape, inputs->row + first, inputs->tap_row + first,
                        dz);
        for (; first < inputs->count; first++)
            weight_taps(K, S, N, 1, sums, c, shape, inputs->row + first, inputs->tap_row + first,
                        dz);
    }
}

void depthwise_row_weight_gradient(real *sums, const struct depthwise_shape *shape,
                                   const struct depthwise_inputs *inputs, const real *dz) {
    int block = shape->weight_block;
    if (shape->stride == 1)
        FOR_KERNEL(shape->kernel,
                   FOR_SMALL_BLOCK(block, weight_row(K, 1, N, sums, shape, inputs, dz)))
    else
        FOR_KERNEL(shape->kernel,
                   FOR_SMALL_BLOCK(block, weight_row(K, 2, N, sums, shape, inputs, dz)))
}
