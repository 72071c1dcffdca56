/* The fused operation that taper is named for: normalise + activate + ordered-dropout cut + channel
 * bypass + residual, one read and one write; backward one pass (NetAdaptV2, channel-level bypass).
 */
#include "cpu.h"
#include "panel.h"
#include "scratch.h"
#include "vector.h"

#include <string.h>

/* What one segment does: channels [0, filters) come from z, [filters, bypassed) from x alone, and
 * the first `added` of the former have x added. */
struct cut {
    int filters, bypassed, added, out;
    int ld_z, ld_x, ld_y;
};

static struct cut cut_of(const struct combine *combine, const struct segment *segment) {
    const struct tensor *x = combine->shortcut.tensor;
    struct cut cut = {.filters = tensor_kept(combine->main.tensor, segment),
                      .out = tensor_kept(&combine->output, segment),
                      .ld_z = tensor_ld(combine->main.tensor, segment),
                      .ld_y = tensor_ld(&combine->output, segment)};
    if (x == NULL)
        return cut;
    int in = tensor_kept(x, segment);
    cut.ld_x = tensor_ld(x, segment);
    cut.bypassed = in < combine->bypass ? in : combine->bypass;
    if (combine->residual)
        cut.added = in < cut.filters ? in : cut.filters;
    return cut;
}

static vec lanes_below(int limit, int first) {
    vec index;
    for (int lane = 0; lane < LANES; lane++)
        index[lane] = first + lane < limit ? 1 : 0;
    return index;
}

/* 1 where the mask vector says so, keeping NaN of the other lanes out. */
INLINE vec pick(vec mask, vec value) {
    return vec_where(mask > vec_splat(0), value);
}

INLINE void forward_rows(enum activation activation, real *y, const real *z, const real *x,
                         const struct cut *cut, const struct norm_rows *norm, int rows) {
    for (int c = 0; c < cut->out; c += LANES) {
        vec from_z = lanes_below(cut->filters, c);
        vec from_x = lanes_below(cut->bypassed, c) * (1 - from_z) + lanes_below(cut->added, c);
        int any_z = c < cut->filters, any_x = c < cut->bypassed || c < cut->added;
        vec scale = vec_splat(1), shift = vec_splat(0);
        if (any_z && norm->scale) {
            scale = vec_load(norm->scale + c);
            shift = vec_load(norm->shift + c);
        }
        for (int r = 0; r < rows; r++) {
            vec value = vec_splat(0);
            if (any_z)
                value =
                    pick(from_z, activate(activation,
                                          vec_load(z + (size_t)r * cut->ld_z + c) * scale + shift));
            if (any_x)
                value += pick(from_x, vec_load(x + (size_t)r * cut->ld_x + c));
            vec_store(y + (size_t)r * cut->ld_y + c, value);
        }
    }
}

/* The 2x2 means of one image of x, packed like x at the output's resolution. */
static void pool_image(const struct tensor *x, const struct segment *segment, int image, int height,
                       int width, real *out) {
    int kept = tensor_kept(x, segment), ld = tensor_ld(x, segment);
    const real *in = tensor_image(x, segment, image);
    for (int oy = 0; oy < height; oy++)
        for (int ox = 0; ox < width; ox++) {
            int rows = 2 * oy + 1 < x->height ? 2 : 1, columns = 2 * ox + 1 < x->width ? 2 : 1;
            real share = (real)1 / (real)(rows * columns);
            real *at = out + ((size_t)oy * width + ox) * ld;
            for (int c = 0; c < kept; c++) {
                real sum = 0;
                for (int dy = 0; dy < rows; dy++)
                    for (int dx = 0; dx < columns; dx++)
                        sum += in[((size_t)(2 * oy + dy) * x->width + 2 * ox + dx) * ld + c];
                at[c] = sum * share;
            }
        }
}

static void unpool_image(const struct tensor *x, const struct segment *segment, int image,
                         int height, int width, const real *from, real *into) {
    int kept = tensor_kept(x, segment), ld = tensor_ld(x, segment);
    real *out = into + (size_t)image * x->height * x->width * ld;
    for (int iy = 0; iy < x->height; iy++)
        for (int ix = 0; ix < x->width; ix++) {
            int oy = iy / 2, ox = ix / 2;
            int rows = 2 * oy + 1 < x->height ? 2 : 1, columns = 2 * ox + 1 < x->width ? 2 : 1;
            real share = oy < height && ox < width ? (real)1 / (real)(rows * columns) : 0;
            for (int c = 0; c < kept; c++)
                out[((size_t)iy * x->width + ix) * ld + c] =
                    share * from[((size_t)oy * width + ox) * ld + c];
        }
}

enum status combine_forward(const struct combine *combine, const struct slice *slice) {
    const struct tensor *x = combine->shortcut.tensor, *output = &combine->output;
    int pixels = output->height * output->width;
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        struct cut cut = cut_of(combine, segment);
        struct norm_rows norm = norm_rows(combine->main.norm, segment);
        for (int image = 0; image < segment->images; image++) {
            real *y = tensor_image(output, segment, image);
            const real *z = cut.filters ? tensor_image(combine->main.tensor, segment, image) : NULL;
            const real *from = x ? tensor_image(x, segment, image) : NULL;
            if (x && combine->pool) {
                pool_image(x, segment, image, output->height, output->width, slice->scratch);
                from = slice->scratch;
            }
            switch (combine->main.activation) {
            case ACTIVATION_NONE:
                forward_rows(ACTIVATION_NONE, y, z, from, &cut, &norm, pixels);
                break;
            case ACTIVATION_RELU6:
                forward_rows(ACTIVATION_RELU6, y, z, from, &cut, &norm, pixels);
                break;
            default:
                forward_rows(combine->main.activation, y, z, from, &cut, &norm, pixels);
            }
        }
    }
    return STATUS_OK;
}

/* dx = dy where x was used, else 0. */
static void shortcut_rows(real *dx, const real *dy, const struct cut *cut, int in, int rows) {
    for (int c = 0; c < in; c += LANES) {
        vec used = lanes_below(cut->bypassed, c) * (1 - lanes_below(cut->filters, c)) +
                   lanes_below(cut->added, c);
        int any = c < cut->bypassed || c < cut->added;
        for (int r = 0; r < rows; r++) {
            vec value = vec_splat(0);
            if (any)
                value = pick(used, vec_load(dy + (size_t)r * cut->ld_y + c));
            vec_store(dx + (size_t)r * cut->ld_x + c, value);
        }
    }
}

static void shortcut_backward(const struct combine *combine, const struct segment *segment,
                              const struct cut *cut, void *scratch) {
    const struct tensor *x = combine->shortcut.tensor, *gradient = combine->shortcut.gradient;
    int pixels = combine->output.height * combine->output.width;
    int in = tensor_kept(x, segment);
    for (int image = 0; image < segment->images; image++) {
        const real *dy = tensor_image(combine->output_gradient, segment, image);
        if (!combine->pool) {
            shortcut_rows(tensor_image(gradient, segment, image), dy, cut, in, pixels);
            continue;
        }
        shortcut_rows(scratch, dy, cut, in, pixels);
        unpool_image(x, segment, image, combine->output.height, combine->output.width, scratch,
                     tensor_segment(gradient, segment));
    }
}

static void main_backward(const struct combine *combine, const struct segment *segment,
                          const struct cut *cut, void *memory) {
    const struct view *main = &combine->main;
    const struct tensor *dy = combine->output_gradient, *dpre = main->gradient;
    struct norm_rows norm = norm_rows(main->norm, segment);
    struct scratch scratch = {memory};
    int lanes = round_up(cut->filters, CHANNEL_ALIGN);
    struct channel_sums sums = {.first = scratch_doubles(&scratch, lanes),
                                .second = scratch_doubles(&scratch, lanes)};
    channel_sums_clear(&sums, cut->filters);
    int rows = segment->images * combine->output.height * combine->output.width;
    int ld_dy = tensor_ld(dy, segment), ld_dpre = tensor_ld(dpre, segment);
    real *unwritten = NULL;
    if (dpre == dy && cut->filters % LANES) /* whole vectors would reach into bypassed channels */
        unwritten = scratch_reals(&scratch, (size_t)PANEL_ROWS * lanes);
    for (int first = 0; first < rows; first += PANEL_ROWS) {
        int count = rows - first < PANEL_ROWS ? rows - first : PANEL_ROWS;
        const real *from = tensor_segment(dy, segment) + (size_t)first * ld_dy;
        const real *z = tensor_segment(main->tensor, segment) + (size_t)first * cut->ld_z;
        real *into = tensor_segment(dpre, segment) + (size_t)first * ld_dpre;
        real *target = unwritten ? unwritten : into;
        int ld_target = unwritten ? lanes : ld_dpre;
        panel_through_activation(target, ld_target, from, ld_dy, z, cut->ld_z, count, cut->filters,
                                 &norm, main->activation, main->norm ? &sums : NULL);
        if (unwritten && main->activation != ACTIVATION_NONE)
            for (int r = 0; r < count; r++)
                memcpy(into + (size_t)r * ld_dpre, target + (size_t)r * lanes,
                       (size_t)cut->filters * sizeof(real));
    }
    if (main->norm)
        partial_from_gradient_sums(main->norm, segment, &sums, cut->filters, rows);
}

enum status combine_backward(const struct combine *combine, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        struct cut cut = cut_of(combine, segment);
        /* First: main may overwrite dy in place. */
        if (combine->shortcut.gradient)
            shortcut_backward(combine, segment, &cut, slice->scratch);
        if (cut.filters > 0)
            main_backward(combine, segment, &cut, slice->scratch);
        else if (combine->main.norm)
            combine->main.norm->row_count[segment->index] = 0;
    }
    return STATUS_OK;
}
