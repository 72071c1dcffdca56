/* Mean over all pixels of an image, read through the view. */
#include "pool_mean.h"
#include "cpu.h"
#include "vector.h"

#include <string.h>

static int smaller(int a, int b) {
    return a < b ? a : b;
}

static int image_pixels(const struct view *view) {
    return view->tensor->height * view->tensor->width;
}

void view_image_mean(const struct view *view, const struct segment *segment, int image, real *mean,
                     struct scratch scratch) {
    int pixels = image_pixels(view), kept = tensor_kept(view->tensor, segment);
    int ld = view_ld(view, segment), first = image * pixels;
    real *room = scratch_reals(&scratch, (size_t)PANEL_ROWS * ld);
    real *sum = scratch_reals(&scratch, ld);
    memset(sum, 0, (size_t)ld * sizeof *sum);
    for (int done = 0; done < pixels; done += PANEL_ROWS) {
        int count = smaller(pixels - done, PANEL_ROWS);
        struct rows rows = view_rows(view, segment, first + done, count, room);
        for (int c = 0; c < kept; c += LANES) {
            vec panel = vec_splat(0);
            for (int r = 0; r < count; r++)
                panel += vec_load(rows.at + (size_t)r * rows.ld + c);
            vec_store(sum + c, vec_load(sum + c) + panel);
        }
    }
    for (int c = 0; c < kept; c++)
        mean[c] = sum[c] / (real)pixels;
}

enum status pool_mean_forward(const struct pool_mean *pool, const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        for (int image = 0; image < segment->images; image++)
            view_image_mean(&pool->input, segment, image,
                            tensor_image(&pool->output, segment, image),
                            (struct scratch){slice->scratch});
    }
    return STATUS_OK;
}

/* Every pixel of an image gets the same share. */
static void backward_segment(const struct pool_mean *pool, const struct segment *segment,
                             struct scratch scratch) {
    const struct view *input = &pool->input;
    int pixels = image_pixels(input), kept = tensor_kept(input->tensor, segment);
    int ld = view_ld(input, segment);
    struct view_gradient gradient;
    view_gradient_begin(&gradient, input, segment, &scratch);
    real *room = scratch_reals(&scratch, (size_t)PANEL_ROWS * ld);
    for (int first = 0; first < segment->images * pixels; first += PANEL_ROWS) {
        int count = smaller(segment->images * pixels - first, PANEL_ROWS);
        for (int r = 0; r < count; r++) {
            const real *dy = tensor_image(pool->output_gradient, segment, (first + r) / pixels);
            for (int c = 0; c < kept; c++)
                room[(size_t)r * ld + c] = dy[c] / (real)pixels;
        }
        view_gradient_panel(&gradient, first, count, room, ld);
    }
    view_gradient_end(&gradient);
}

enum status pool_mean_backward(const struct pool_mean *pool, const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        if (tensor_kept(pool->input.tensor, segment) > 0)
            backward_segment(pool, segment, (struct scratch){slice->scratch});
        else
            view_gradient_absent(&pool->input, segment);
    }
    return STATUS_OK;
}
