/* The input side of a convolution, panel by panel: pixels of a segment as the consumer sees them
 * (norm, activation, gate), and the way of their gradient back. tensor.h defines both.
 *
 * Pixels are counted within the segment. `room` is scratch for PANEL_ROWS pixels at the leading
 * dimension view_ld(); it is used where the tensor cannot be used in place.
 */
#ifndef TAPER_VIEW_H
#define TAPER_VIEW_H

#include "panel.h"
#include "product.h"
#include "scratch.h"

struct rows {
    const real *at;
    int ld;
};

/* Where a product shall go, and whether it adds to what is there. */
struct target {
    real *at;
    int ld;
    enum product_store store;
};

static inline int view_ld(const struct view *view, const struct segment *segment) {
    return round_up(tensor_kept(view->tensor, segment), CHANNEL_ALIGN);
}

/* Pixels of the panel that starts at `first`; 0 at the end of the segment. A gate holds for one
 * image: then panels end with images. */
int view_panel(const struct view *view, const struct segment *segment, int first);

/* The pixels [first, first + count), with the panel's one gate. */
struct rows view_rows(const struct view *view, const struct segment *segment, int first, int count,
                      real *room);

/* The gradient's way back, for one segment: begin; for each panel the consumer makes d loss / d a
 * in the target and then calls panel; end. */
struct view_gradient {
    const struct view *view;
    const struct segment *segment;
    struct norm_rows norm;
    struct channel_sums sums;
    int kept;
    int in_place; /* whole vectors may be written to view->gradient */
};

void view_gradient_begin(struct view_gradient *gradient, const struct view *view,
                         const struct segment *segment, struct scratch *scratch);
struct target view_gradient_target(const struct view_gradient *gradient, int first, real *room);
void view_gradient_panel(struct view_gradient *gradient, int first, int count, real *da, int ld);
void view_gradient_end(struct view_gradient *gradient);

/* The segment's consumer is absent: no pixels stand behind its partial sums. */
void view_gradient_absent(const struct view *view, const struct segment *segment);

#endif
