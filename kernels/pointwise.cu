/* The 1x1 convolution: three products per layer, see product.cuh and weight_gradient.cuh. */
#include "cuda_ops.h"
#include "product.cuh"
#include "product_plain.cuh"
#include "product_tensor.cuh"
#include "weight_gradient.cuh"
#include "weight_gradient_tensor.cuh"

constexpr int WEIGHT_ALIGN = 32;
constexpr int PRODUCT_BLOCKS = 1056; /* that keep the device busy */
constexpr int MULTIPROCESSORS = 132;

/* Prepared weights: [out][in] for the output, and [in][out] for the gradient of the input; rows
 * are padded to whole steps of k. */
struct prepared {
    int ld, ld_back;
    size_t back, size; /* elements */
};

static struct prepared prepared_of(const struct convolution *convolution) {
    int outputs = convolution->output.channels, inputs = convolution->input.tensor->channels;
    struct prepared of = {};
    of.ld = round_up(inputs, WEIGHT_ALIGN), of.ld_back = round_up(outputs, WEIGHT_ALIGN);
    of.back = (size_t)outputs * of.ld;
    of.size = of.back + (size_t)inputs * of.ld_back;
    return of;
}

template <class T> size_t cuda_pointwise_prepared_size(const struct convolution *convolution) {
    return (prepared_of(convolution).size * sizeof(T) + sizeof(float) - 1) / sizeof(float);
}

template <class T> size_t cuda_pointwise_scratch(const struct convolution *) {
    return WEIGHT_SCRATCH + MADE_SCRATCH;
}

template <class T>
int cuda_pointwise_layouts(const struct convolution *convolution, struct weight_layout *layouts) {
    int outputs = convolution->output.channels, inputs = convolution->input.tensor->channels;
    struct prepared prepared = prepared_of(convolution);
    struct weight_layout layout = {};
    layout.from = convolution->weight, layout.to = convolution->prepared;
    layout.inner = 1, layout.narrow = sizeof(T) == sizeof(bf16);
    layout.rows = outputs, layout.columns = inputs, layout.ld = prepared.ld;
    layout.outer_step = inputs, layout.column_step = 1;
    layouts[0] = layout;
    layout.to = reinterpret_cast<T *>(convolution->prepared) + prepared.back;
    layout.rows = inputs, layout.columns = outputs, layout.ld = prepared.ld_back;
    layout.outer_step = 1, layout.column_step = inputs;
    layouts[1] = layout;
    return 2;
}

/* Parts of a segment: the norm's, or, where nobody counts them, as many as keep the device busy. */
static int parts_of_grid(const struct partial_sums &sums, const struct tensor *tensor,
                         const struct slice *slice, int columns, int tile) {
    if (sums.parts > 0)
        return sums.parts;
    size_t rows = (size_t)largest_segment(slice) * tensor->height * tensor->width;
    int wanted = pieces(PRODUCT_BLOCKS, (size_t)columns * slice->count);
    int most = pieces(rows, tile);
    return wanted < most ? wanted : most;
}

template <class Source, class Target>
static enum status product(const struct slice *slice, const Source &source, const float *weights,
                           int ld, const Target &target, int columns, int) {
    int tiles = pieces(columns, PLAIN_TILE);
    int parts = parts_of_grid(sums_of(target), &source.z, slice, tiles, PLAIN_TILE);
    dim3 grid(tiles, parts, slice->count);
    LAUNCH((plain_product_kernel<float, Source, Target>), grid, PLAIN_THREADS, 0, cuda_stream(),
           slice->device_segments, source, weights, ld, target);
    return cuda_launched("plain_product_kernel");
}

/* Blocks that live as long as the device does with one wave of them, and walk equally many tiles;
 * twice as many where groups may be narrower than the grid. */
static int parts_of_tiles(const struct partial_sums &sums, const struct slice *slice, int columns,
                          int tiles, int slots) {
    long long all = (long long)tiles * columns * slice->count;
    int parts =
        all <= 2 * slots ? tiles : pieces(tiles, pieces(all, slice->count > 1 ? 2 * slots : slots));
    return sums.parts > 0 && sums.parts < parts ? sums.parts : parts;
}

template <int WM, int WN, int N8, int STEP, class Source, class Target>
static enum status product_of(const struct slice *slice, const Source &source, const bf16 *weights,
                              int ld, const Target &target, int columns, int depth, size_t rows) {
    typedef tensor_layout_of<WM, WN, N8, STEP, Source, Target> layout;
    int shared = layout::shared(depth), room = TENSOR_SHARED / (shared + 1024);
    int slots = MULTIPROCESSORS * (room < layout::blocks ? room : layout::blocks);
    int across = pieces(columns, layout::columns);
    int parts = parts_of_tiles(sums_of(target), slice, across, pieces(rows, layout::rows), slots);
    cudaError_t error =
        cudaFuncSetAttribute(tensor_product_kernel<WM, WN, N8, STEP, Source, Target>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
    if (error != cudaSuccess)
        return cuda_check(error, "tensor_product_kernel");
    LAUNCH((tensor_product_kernel<WM, WN, N8, STEP, Source, Target>),
           dim3(across, parts, slice->count), layout::threads, shared, cuda_stream(),
           slice->device_segments, source, weights, ld, target, layout::slots(depth));
    return cuda_launched("tensor_product_kernel");
}

/* As few blocks of columns as can be, as the left side is made in each, and no wider than they
 * must; the smallest tiles where there are too few for the device. */
template <class Source, class Target>
static enum status product(const struct slice *slice, const Source &source, const bf16 *weights,
                           int ld, const Target &target, int columns, int depth) {
    size_t rows = (size_t)largest_segment(slice) * source.z.height * source.z.width;
    constexpr int LONG = left_of<bf16, Source>::rows::STREAMS == 1 ? 64 : 32;
#define PRODUCT(WM, WN, N8, STEP)                                                                  \
    product_of<WM, WN, N8, STEP>(slice, source, weights, ld, target, columns, depth, rows)
    if (rows * slice->count <= 1024)
        return PRODUCT(1, 4, 2, LONG);
    if (columns <= 16)
        return depth <= 16 ? PRODUCT(4, 1, 2, 16) : PRODUCT(4, 1, 2, 32);
    if (columns <= 32)
        return PRODUCT(4, 1, 4, 32);
    if (columns <= 64 && depth <= 16)
        return PRODUCT(4, 2, 4, 16);
    if (columns <= 64)
        return PRODUCT(4, 2, 4, LONG);
    if (128 < columns && columns <= 160)
        return PRODUCT(2, 5, 4, LONG);
    return depth <= 32 ? PRODUCT(2, 4, 4, 32) : PRODUCT(2, 4, 4, LONG);
#undef PRODUCT
}

template <class T>
enum status cuda_pointwise_forward(const struct convolution *convolution,
                                   const struct slice *slice) {
    struct output_target target = {};
    target.z = convolution->output;
    target.bias = convolution->bias;
    target.sums = partial_sums_of(convolution->norm);
    return product(slice, device_view_of(&convolution->input),
                   reinterpret_cast<const T *>(convolution->prepared), prepared_of(convolution).ld,
                   target, convolution->output.channels, convolution->input.tensor->channels);
}

/* As many threads as the device has at once, if there are splits enough. */
static enum status add_splits(const struct convolution *convolution, const struct slice *slice,
                              const struct weight_plan &plan) {
    if (plan.splits == 1)
        return STATUS_OK;
    int vectors = plan.outs * plan.ins / 4, rows = 1;
    while (rows < ADD_THREADS / ADD_VECTORS && rows < plan.splits &&
           (size_t)plan.tiles * vectors * rows < WEIGHT_BLOCKS * ADD_THREADS)
        rows *= 2;
    int columns = ADD_THREADS / rows;
    while (vectors % columns != 0)
        columns /= 2, rows *= 2;
    LAUNCH(add_splits_kernel, dim3(vectors / columns, plan.tiles), dim3(columns, rows), 0,
           cuda_stream(), slice->device_segments, plan,
           reinterpret_cast<const float *>(slice->scratch),
           slice->gradient + convolution->weight_offset);
    return cuda_launched("add_splits_kernel");
}

template <class Layout>
static enum status tensor_weight_gradient(const struct convolution *convolution,
                                          const struct slice *slice,
                                          const struct device_gradient &gradient) {
    struct weight_plan plan = weight_plan_of(convolution, slice, Layout::OUTS, Layout::INS,
                                             Layout::rows, MULTIPROCESSORS * Layout::blocks);
    cudaFuncSetAttribute(tensor_weight_kernel<Layout>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         Layout::shared);
    LAUNCH(tensor_weight_kernel<Layout>, dim3(plan.tiles, plan.splits), Layout::warps * WARP,
           Layout::shared, cuda_stream(), slice->device_segments, plan,
           device_view_of(&convolution->input), gradient, reinterpret_cast<float *>(slice->scratch),
           slice->gradient + convolution->weight_offset);
    enum status status = cuda_launched("tensor_weight_kernel");
    return status == STATUS_OK ? add_splits(convolution, slice, plan) : status;
}

/* A view without norm, activation and gate. */
static bool is_plain(const struct view *view) {
    return view->norm == NULL && view->activation == ACTIVATION_NONE && view->gate == NULL;
}

template <class T>
static enum status weight_gradient(const struct convolution *convolution, const struct slice *slice,
                                   const struct device_gradient &gradient);

/* A tile is as wide as the narrower side, so that the wider one is read and made once. */
template <>
enum status weight_gradient<bf16>(const struct convolution *convolution, const struct slice *slice,
                                  const struct device_gradient &gradient) {
    int outs = convolution->output.channels, ins = convolution->input.tensor->channels;
#define TILE(condition, ...)                                                                       \
    if (condition)                                                                                 \
    return tensor_weight_gradient<sum_layout<__VA_ARGS__>>(convolution, slice, gradient)
    bool made = gradient.norm.grad_y == NULL;
    bool plain = is_plain(&convolution->input) && outs > ins;
    TILE(made && outs <= 80, SUM_ALREADY, 80, 64, 32, 5, 1, 4, 2, 2);
    TILE(made && outs <= 128, SUM_ALREADY, 128, 64, 32, 4, 4, 2, 1, 2);
    TILE(made, SUM_ALREADY, 160, 64, 32, 4, 2, 4, 1, 2);
    TILE(plain && ins <= 16, SUM_PLAIN, 64, 16, 64, 3, 4, 1, 2, 3);
    TILE(plain && ins <= 24, SUM_PLAIN, 80, 24, 64, 3, 5, 1, 2, 2);
    TILE(plain && ins <= 40, SUM_PLAIN, 128, 40, 32, 3, 8, 1, 1, 2);
    TILE(plain && ins <= 80, SUM_PLAIN, 64, 80, 64, 3, 4, 1, 2, 2);
    TILE(plain && ins <= 112, SUM_PLAIN, 64, 112, 32, 5, 4, 1, 2, 2);
    TILE(plain, SUM_PLAIN, 64, 160, 32, 4, 4, 2, 1, 2);
    TILE(outs <= 16 && ins <= 16, SUM_MADE, 16, 16, 128, 3, 1, 1, 8, 2);
    TILE(outs <= 32, SUM_MADE, 32, 72, 64, 3, 2, 1, 4, 2);
    TILE(outs <= 48, SUM_MADE, 48, 128, 32, 4, 3, 2, 1, 2);
    TILE(true, SUM_MADE, 64, 64, 32, 3, 4, 2, 1, 2);
#undef TILE
}

template <>
enum status weight_gradient<float>(const struct convolution *convolution, const struct slice *slice,
                                   const struct device_gradient &gradient) {
    struct weight_plan plan = weight_plan_of(convolution, slice, WEIGHT_TILE, WEIGHT_TILE,
                                             PLAIN_STEP, WEIGHT_BLOCKS);
    LAUNCH(plain_weight_kernel<float>, dim3(plan.tiles, plan.splits), PLAIN_THREADS, 0,
           cuda_stream(), slice->device_segments, plan, device_view_of(&convolution->input),
           gradient, reinterpret_cast<float *>(slice->scratch),
           slice->gradient + convolution->weight_offset);
    enum status status = cuda_launched("plain_weight_kernel");
    return status == STATUS_OK ? add_splits(convolution, slice, plan) : status;
}

/* dz in memory, if several blocks of the wider input would make it, and it fits. */
template <class T>
static enum status make_gradient(const struct convolution *, const struct slice *,
                                 struct device_gradient *) {
    return STATUS_OK;
}
template <>
enum status make_gradient<bf16>(const struct convolution *convolution, const struct slice *slice,
                                struct device_gradient *gradient) {
    int outs = convolution->output.channels, ins = convolution->input.tensor->channels;
    struct tensor made = gradient->z;
    made.align = LANES;
    made.image_size = (size_t)made.height * made.width * round_up(outs, LANES);
    int images = 0; /* slots up to the last one's */
    for (int i = 0; i < slice->count; i++)
        images = max(images, slice->segments[i].first + slice->segments[i].images);
    if (gradient->norm.grad_y == NULL || outs <= 48 || outs > ins ||
        images * made.image_size * sizeof(bf16) > MADE_SCRATCH) return STATUS_OK;
    made.data = reinterpret_cast<real *>(static_cast<char *>(slice->scratch) + WEIGHT_SCRATCH);
    size_t rows = (size_t)largest_segment(slice) * made.height * made.width;
    int blocks = pieces(rows * pieces(outs, LANES), MAKE_THREADS);
    int most = pieces(MAKE_BLOCKS, slice->count);
    LAUNCH(make_gradient_kernel, dim3(blocks < most ? blocks : most, slice->count), MAKE_THREADS, 0,
           cuda_stream(), slice->device_segments, *gradient, made);
    gradient->dy = made, gradient->norm = norm_view_of(NULL);
    return cuda_launched("make_gradient_kernel");
}

template <class T>
static enum status bias_gradient(const struct convolution *convolution, const struct slice *slice) {
    LAUNCH(bias_kernel<T>, pieces(convolution->output.channels, LANES), BIAS_THREADS, 0,
           cuda_stream(), slice->device_segments, slice->count, device_gradient_of(convolution),
           slice->gradient + convolution->bias_offset);
    return cuda_launched("bias_kernel");
}

template <class T>
static enum status input_gradient(const struct convolution *convolution, const struct slice *slice,
                                  const struct device_gradient &gradient) {
    struct prepared layout = prepared_of(convolution);
    return product(slice, gradient,
                   reinterpret_cast<const T *>(convolution->prepared) + layout.back, layout.ld_back,
                   gradient_target_of(&convolution->input), convolution->input.tensor->channels,
                   convolution->output.channels);
}

template <class T>
enum status cuda_pointwise_backward(const struct convolution *convolution,
                                    const struct slice *slice) {
    struct device_gradient gradient = device_gradient_of(convolution);
    TRY(make_gradient<T>(convolution, slice, &gradient));
    TRY(weight_gradient<T>(convolution, slice, gradient));
    if (convolution->bias != NULL)
        TRY(bias_gradient<T>(convolution, slice));
    if (convolution->input.gradient == NULL)
        return STATUS_OK;
    return input_gradient<T>(convolution, slice, gradient);
}

#define INSTANTIATE(T)                                                                             \
    template size_t cuda_pointwise_prepared_size<T>(const struct convolution *);                   \
    template size_t cuda_pointwise_scratch<T>(const struct convolution *);                         \
    template int cuda_pointwise_layouts<T>(const struct convolution *, struct weight_layout *);    \
    template enum status cuda_pointwise_forward<T>(const struct convolution *,                     \
                                                   const struct slice *);                          \
    template enum status cuda_pointwise_backward<T>(const struct convolution *,                    \
                                                    const struct slice *);
INSTANTIATE(float)
INSTANTIATE(bf16)
