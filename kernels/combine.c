/* The fused operation that taper is named for: normalise + activate + ordered-dropout cut + channel
 * bypass + residual, one read and one write; backward: the sums and the gradients of both inputs
 * (NetAdaptV2, channel-level bypass connections). */
#include "cpu.h"
#include "panel.h"
#include "scratch.h"
#include "vector.h"

#include <string.h>

/* Which channels come from where: [0, filters) from z, where [0, added) have x added, and
 * [filters, bypassed) from x alone. */
struct cut {
    int filters, added, bypassed;
    int inputs; /* channels of x */
};

static int smaller(int a, int b) {
    return a < b ? a : b;
}

static struct cut cut_of(const struct combine *combine, const struct segment *segment) {
    struct cut cut = {.filters = tensor_kept(combine->main.tensor, segment)};
    if (combine->shortcut.tensor == NULL)
        return cut;
    cut.inputs = tensor_kept(combine->shortcut.tensor, segment);
    cut.bypassed = smaller(cut.inputs, combine->bypass);
    if (combine->residual)
        cut.added = smaller(cut.inputs, cut.filters);
    return cut;
}

/* The lanes of channels [c, c + LANES) that are below `limit`. */
static vec_mask lanes_below(int limit, int c) {
    vec_mask mask;
    for (int lane = 0; lane < LANES; lane++)
        mask[lane] = c + lane < limit ? -1 : 0;
    return mask;
}

static vec_mask lanes_of_shortcut(const struct cut *cut, int c) {
    return lanes_below(cut->added, c) |
           (lanes_below(cut->bypassed, c) & ~lanes_below(cut->filters, c));
}

static int reads_shortcut(const struct cut *cut, int c) {
    return c < cut->added || (c < cut->bypassed && c + LANES > cut->filters);
}

/* Rows of one tensor from one pixel on, at the first channel of a vector. */
struct lane_rows {
    real *at;
    int ld;
};

static struct lane_rows rows_at(const struct tensor *tensor, const struct segment *segment,
                                int pixel) {
    int ld = tensor_ld(tensor, segment);
    return (struct lane_rows){.at = tensor_segment(tensor, segment) + (size_t)pixel * ld, .ld = ld};
}

/* One vector of channels of some rows. */
struct column {
    real *y;
    const real *z, *x;
    int ld_y, ld_z, ld_x;
    vec scale, shift;
    vec_mask from_z, from_x;
};

INLINE void forward_column(const struct column *column, int rows, enum activation activation,
                           int with_z, int with_x) {
    for (int r = 0; r < rows; r++) {
        vec y = vec_splat(0);
        if (with_z) {
            vec z = vec_load(column->z + (size_t)r * column->ld_z);
            y = vec_where(column->from_z, activate(activation, z * column->scale + column->shift));
        }
        if (with_x)
            y += vec_where(column->from_x, vec_load(column->x + (size_t)r * column->ld_x));
        vec_store(column->y + (size_t)r * column->ld_y, y);
    }
}

INLINE void forward_columns(enum activation activation, const struct cut *cut,
                            const struct norm_rows *norm, struct lane_rows y, struct lane_rows z,
                            struct lane_rows x, int rows, int kept) {
    for (int c = 0; c < kept; c += LANES) {
        int with_z = c < cut->filters, with_x = reads_shortcut(cut, c);
        int normed = with_z && norm->scale != NULL;
        struct column column = {.y = y.at + c,
                                .z = z.at + c,
                                .x = x.at + c,
                                .ld_y = y.ld,
                                .ld_z = z.ld,
                                .ld_x = x.ld,
                                .scale = normed ? vec_load(norm->scale + c) : vec_splat(1),
                                .shift = normed ? vec_load(norm->shift + c) : vec_splat(0),
                                .from_z = lanes_below(cut->filters, c),
                                .from_x = lanes_of_shortcut(cut, c)};
        if (with_z && with_x)
            forward_column(&column, rows, activation, 1, 1);
        else if (with_z)
            forward_column(&column, rows, activation, 1, 0);
        else
            forward_column(&column, rows, activation, 0, 1);
    }
}

/* The pixels of x behind one pixel of the output: up to 2 x 2. */
struct pool_source {
    int count;
    int pixels[4];
};

static struct pool_source pool_source(const struct combine *combine, int pixel) {
    const struct tensor *output = &combine->output, *x = combine->shortcut.tensor;
    int area = output->height * output->width, image = pixel / area;
    int top = pixel % area / output->width * 2, left = pixel % output->width * 2;
    struct pool_source source = {0};
    for (int row = top; row < top + 2 && row < x->height; row++)
        for (int column = left; column < left + 2 && column < x->width; column++)
            source.pixels[source.count++] = (image * x->height + row) * x->width + column;
    return source;
}

/* The means behind some pixels of the output, packed into room. */
static struct lane_rows pool_rows(const struct combine *combine, const struct segment *segment,
                                  int first, int count, int channels, real *room) {
    const struct tensor *x = combine->shortcut.tensor;
    struct lane_rows out = {.at = room, .ld = round_up(channels, CHANNEL_ALIGN)};
    for (int r = 0; r < count; r++) {
        struct pool_source source = pool_source(combine, first + r);
        real *mean = out.at + (size_t)r * out.ld, share = (real)1 / (real)source.count;
        for (int c = 0; c < channels; c += LANES) {
            vec sum = vec_splat(0);
            for (int i = 0; i < source.count; i++)
                sum += vec_load(rows_at(x, segment, source.pixels[i]).at + c);
            vec_store(mean + c, sum * share);
        }
    }
    return out;
}

static void forward_panel(const struct combine *combine, const struct segment *segment,
                          const struct cut *cut, int first, int count, real *room) {
    const struct tensor *x = combine->shortcut.tensor;
    enum activation activation = combine->main.activation;
    struct norm_rows norm = norm_rows(combine->main.norm, segment);
    struct lane_rows out = rows_at(&combine->output, segment, first);
    struct lane_rows z = rows_at(combine->main.tensor, segment, first), from = out;
    int kept = tensor_kept(&combine->output, segment);
    if (x != NULL && combine->pool)
        from = pool_rows(combine, segment, first, count, smaller(cut->inputs, kept), room);
    else if (x != NULL)
        from = rows_at(x, segment, first);
    FOR_ACTIVATION(activation, forward_columns(A, cut, &norm, out, z, from, count, kept))
}

enum status combine_forward(const struct combine *combine, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        struct cut cut = cut_of(combine, segment);
        int pixels = segment->images * combine->output.height * combine->output.width;
        for (int first = 0; first < pixels; first += PANEL_ROWS)
            forward_panel(combine, segment, &cut, first, smaller(pixels - first, PANEL_ROWS),
                          slice->scratch);
    }
    return STATUS_OK;
}

/* dx = dx in the lanes of keep, + dy in those of used. */
INLINE void shortcut_column(struct lane_rows dx, struct lane_rows dy, int rows, vec_mask used,
                            vec_mask keep, int with_old) {
    for (int r = 0; r < rows; r++) {
        real *into = dx.at + (size_t)r * dx.ld;
        vec value = vec_where(used, vec_load(dy.at + (size_t)r * dy.ld));
        vec_store(into, with_old ? vec_where(keep, vec_load(into)) + value : value);
    }
}

/* dx = (or +=) dy where x was used; the other channels of x get 0. Lanes past x's channels keep
 * what they hold: the gradient may have more channels. */
static void shortcut_columns(const struct cut *cut, struct lane_rows dx, struct lane_rows dy,
                             int rows, int accumulate) {
    for (int c = 0; c < cut->inputs; c += LANES) {
        vec_mask used = lanes_of_shortcut(cut, c);
        vec_mask keep = ~lanes_below(accumulate ? c : cut->inputs, c);
        struct lane_rows to = {.at = dx.at + c, .ld = dx.ld};
        /* dy need not have a channel that was not used. */
        struct lane_rows from = reads_shortcut(cut, c) ? (struct lane_rows){dy.at + c, dy.ld} : to;
        if (accumulate || c + LANES > cut->inputs)
            shortcut_column(to, from, rows, used, keep, 1);
        else
            shortcut_column(to, from, rows, used, keep, 0);
    }
}

/* Every pixel of x is behind exactly one pixel of the output. */
static void unpool_rows(const struct combine *combine, const struct segment *segment, int first,
                        int count, int channels, struct lane_rows mean) {
    const struct view *shortcut = &combine->shortcut;
    for (int r = 0; r < count; r++) {
        struct pool_source source = pool_source(combine, first + r);
        const real *from = mean.at + (size_t)r * mean.ld;
        real share = (real)1 / (real)source.count;
        for (int i = 0; i < source.count; i++) {
            real *into = rows_at(shortcut->gradient, segment, source.pixels[i]).at;
            for (int c = 0; c < channels; c++)
                into[c] = shortcut->accumulate ? into[c] + share * from[c] : share * from[c];
        }
    }
}

static void shortcut_panel(const struct combine *combine, const struct segment *segment,
                           const struct cut *cut, int first, int count, real *room) {
    const struct view *shortcut = &combine->shortcut;
    struct lane_rows dy = rows_at(combine->output_gradient, segment, first);
    if (!combine->pool) {
        shortcut_columns(cut, rows_at(shortcut->gradient, segment, first), dy, count,
                         shortcut->accumulate);
        return;
    }
    struct lane_rows mean = {.at = room, .ld = round_up(cut->inputs, CHANNEL_ALIGN)};
    shortcut_columns(cut, mean, dy, count, 0);
    unpool_rows(combine, segment, first, count, cut->inputs, mean);
}

/* Through the activation, into main's gradient. Where that is dy itself and nothing changes, only
 * the sums are made; where it has more channels, whole vectors would reach into them. */
static void main_panel(const struct combine *combine, const struct segment *segment, int first,
                       int count, struct channel_sums *sums, real *room) {
    const struct view *main = &combine->main;
    struct norm_rows norm = norm_rows(main->norm, segment);
    int filters = tensor_kept(main->tensor, segment);
    struct lane_rows dy = rows_at(combine->output_gradient, segment, first);
    struct lane_rows z = rows_at(main->tensor, segment, first);
    struct lane_rows into = rows_at(main->gradient, segment, first), target = into;
    if (into.at == dy.at && main->activation == ACTIVATION_NONE)
        target.at = NULL;
    else if (tensor_kept(main->gradient, segment) != filters)
        target = (struct lane_rows){.at = room, .ld = round_up(filters, CHANNEL_ALIGN)};
    panel_through_activation(target.at, target.ld, dy.at, dy.ld, z.at, z.ld, count, filters, &norm,
                             main->activation, main->norm ? sums : NULL);
    for (int r = 0; r < count && target.at == room; r++)
        memcpy(into.at + (size_t)r * into.ld, room + (size_t)r * target.ld,
               (size_t)filters * sizeof(real));
}

static void backward_segment(const struct combine *combine, const struct segment *segment,
                             struct scratch scratch) {
    struct batch_norm *norm = combine->main.norm;
    struct cut cut = cut_of(combine, segment);
    int ld = round_up(cut.filters, CHANNEL_ALIGN), ld_x = round_up(cut.inputs, CHANNEL_ALIGN);
    int pixels = segment->images * combine->output.height * combine->output.width;
    struct channel_sums sums = {.first = scratch_doubles(&scratch, ld),
                                .second = scratch_doubles(&scratch, ld)};
    real *room = scratch_reals(&scratch, (size_t)PANEL_ROWS * (ld > ld_x ? ld : ld_x));
    channel_sums_clear(&sums, cut.filters);
    for (int first = 0; first < pixels; first += PANEL_ROWS) {
        int count = smaller(pixels - first, PANEL_ROWS);
        /* First: main may overwrite dy. */
        if (combine->shortcut.gradient != NULL)
            shortcut_panel(combine, segment, &cut, first, count, room);
        if (cut.filters > 0)
            main_panel(combine, segment, first, count, &sums, room);
    }
    if (norm != NULL && cut.filters > 0)
        partial_from_gradient_sums(norm, segment, &sums, cut.filters, pixels);
    else if (norm != NULL)
        norm->row_count[segment->index] = 0;
}

enum status combine_backward(const struct combine *combine, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        struct scratch scratch = {slice->scratch};
        backward_segment(combine, &slice->segments[i], scratch);
    }
    return STATUS_OK;
}
