#include "view.h"

static int pixels(const struct tensor *tensor) {
    return tensor->height * tensor->width;
}

static int is_plain(const struct view *view) {
    return view->norm == NULL && view->activation == ACTIVATION_NONE && view->gate == NULL;
}

/* With a gate the squeeze-excite takes the gradient through the activation and sums it up. */
static int has_sums(const struct view *view) {
    return view->norm != NULL && view->gate == NULL;
}

static size_t offset(int first, int ld) {
    return (size_t)first * ld;
}

int view_panel(const struct view *view, const struct segment *segment, int first) {
    int image = pixels(view->tensor), end = segment->images * image;
    if (view->gate != NULL && first < end)
        end = (first / image + 1) * image;
    return end - first < PANEL_ROWS ? end - first : PANEL_ROWS;
}

struct rows view_rows(const struct view *view, const struct segment *segment, int first, int count,
                      real *room) {
    const struct tensor *tensor = view->tensor;
    int ld_z = tensor_ld(tensor, segment);
    const real *z = tensor_segment(tensor, segment) + offset(first, ld_z);
    if (is_plain(view))
        return (struct rows){.at = z, .ld = ld_z};

    int ld = view_ld(view, segment), kept = tensor_kept(tensor, segment);
    struct norm_rows norm = norm_rows(view->norm, segment);
    const real *gate =
        view->gate ? tensor_image(view->gate, segment, first / pixels(tensor)) : NULL;
    panel_activate(room, ld, z, ld_z, count, kept, &norm, view->activation, gate);
    return (struct rows){.at = room, .ld = ld};
}

void view_gradient_begin(struct view_gradient *gradient, const struct view *view,
                         const struct segment *segment, struct scratch *scratch) {
    int kept = tensor_kept(view->tensor, segment), ld = view_ld(view, segment);
    *gradient = (struct view_gradient){
        .view = view,
        .segment = segment,
        .norm = norm_rows(view->norm, segment),
        .sums = {.first = scratch_doubles(scratch, ld), .second = scratch_doubles(scratch, ld)},
        .kept = kept,
        /* Channels behind the kept ones belong to others if the gradient has more of them. */
        .in_place =
            view->gradient->align == CHANNEL_ALIGN && tensor_kept(view->gradient, segment) == kept};
    channel_sums_clear(&gradient->sums, kept);
}

static real *gradient_rows(const struct view_gradient *gradient, int first) {
    const struct tensor *tensor = gradient->view->gradient;
    return tensor_segment(tensor, gradient->segment) +
           offset(first, tensor_ld(tensor, gradient->segment));
}

struct target view_gradient_target(const struct view_gradient *gradient, int first, real *room) {
    int ld = view_ld(gradient->view, gradient->segment);
    if (!gradient->in_place)
        return (struct target){.at = room, .ld = ld, .store = PRODUCT_SET};
    return (struct target){.at = gradient_rows(gradient, first),
                           .ld = ld,
                           .store = gradient->view->accumulate ? PRODUCT_ADD : PRODUCT_SET};
}

void view_gradient_panel(struct view_gradient *gradient, int first, int count, real *da, int ld) {
    const struct view *view = gradient->view;
    if (view->gate == NULL && !is_plain(view)) {
        int ld_z = tensor_ld(view->tensor, gradient->segment);
        const real *z = tensor_segment(view->tensor, gradient->segment) + offset(first, ld_z);
        panel_through_activation(da, ld, da, ld, z, ld_z, count, gradient->kept, &gradient->norm,
                                 view->activation, has_sums(view) ? &gradient->sums : NULL);
    }
    real *into = gradient_rows(gradient, first);
    if (da == into)
        return;
    int ld_into = tensor_ld(view->gradient, gradient->segment);
    for (int r = 0; r < count; r++, into += ld_into, da += ld) {
        for (int c = 0; c < gradient->kept; c++)
            into[c] = view->accumulate ? into[c] + da[c] : da[c];
    }
}

void view_gradient_end(struct view_gradient *gradient) {
    const struct view *view = gradient->view;
    if (has_sums(view))
        partial_from_gradient_sums(view->norm, gradient->segment, &gradient->sums, gradient->kept,
                                   (double)gradient->segment->images * pixels(view->tensor));
}

void view_gradient_absent(const struct view *view, const struct segment *segment) {
    if (has_sums(view))
        view->norm->row_count[segment->index] = 0;
}
