/* Mean over all pixels, read through norm and activation. */
#include "cpu.h"
#include "panel.h"
#include "scratch.h"
#include "vector.h"

#include <string.h>

/* Sums of the activated pixels of one image into out[kept], panel by panel. */
static void sum_image(const struct view *view, const struct segment *segment, int image, real *out,
                      real *panel, int ld) {
    const struct tensor *tensor = view->tensor;
    int kept = tensor_kept(tensor, segment), ld_z = tensor_ld(tensor, segment);
    int pixels = tensor->height * tensor->width;
    struct norm_rows norm = norm_rows(view->norm, segment);
    const real *z = tensor_image(tensor, segment, image);
    memset(out, 0, (size_t)ld * sizeof *out);
    for (int first = 0; first < pixels; first += PANEL_ROWS) {
        int count = pixels - first < PANEL_ROWS ? pixels - first : PANEL_ROWS;
        panel_activate(panel, ld, z + (size_t)first * ld_z, ld_z, count, kept, &norm,
                       view->activation, NULL);
        for (int c = 0; c < kept; c += LANES) {
            vec sum = vec_load(out + c);
            for (int r = 0; r < count; r++)
                sum += vec_load(panel + (size_t)r * ld + c);
            vec_store(out + c, sum);
        }
    }
}

void view_mean(const struct view *view, const struct segment *segment, int image, real *mean,
               void *memory) {
    struct scratch scratch = {memory};
    int kept = tensor_kept(view->tensor, segment), ld = round_up(kept, CHANNEL_ALIGN);
    real *panel = scratch_reals(&scratch, (size_t)PANEL_ROWS * ld);
    sum_image(view, segment, image, mean, panel, ld);
    real share = (real)1 / (real)(view->tensor->height * view->tensor->width);
    for (int c = 0; c < kept; c++)
        mean[c] *= share;
}

enum status pool_mean_forward(const struct pool_mean *pool, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        for (int image = 0; image < segment->images; image++)
            view_mean(&pool->input, segment, image, tensor_image(&pool->output, segment, image),
                      slice->scratch);
    }
    return STATUS_OK;
}

enum status pool_mean_backward(const struct pool_mean *pool, const struct slice *slice) {
    const struct view *input = &pool->input;
    const struct tensor *tensor = input->tensor;
    int pixels = tensor->height * tensor->width;
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        struct scratch scratch = {slice->scratch};
        int kept = tensor_kept(tensor, segment), ld = round_up(kept, CHANNEL_ALIGN);
        int ld_z = tensor_ld(tensor, segment), ld_gradient = tensor_ld(input->gradient, segment);
        struct norm_rows norm = norm_rows(input->norm, segment);
        struct channel_sums sums = {.first = scratch_doubles(&scratch, ld),
                                    .second = scratch_doubles(&scratch, ld)};
        real *share = scratch_reals(&scratch, ld);
        channel_sums_clear(&sums, kept);
        for (int image = 0; image < segment->images; image++) {
            const real *dy = tensor_image(pool->output_gradient, segment, image);
            const real *z = tensor_image(tensor, segment, image);
            real *gradient = tensor_image(input->gradient, segment, image);
            for (int c = 0; c < kept; c++)
                share[c] = dy[c] / (real)pixels;
            for (int first = 0; first < pixels; first += PANEL_ROWS) {
                int count = pixels - first < PANEL_ROWS ? pixels - first : PANEL_ROWS;
                panel_through_activation(gradient + (size_t)first * ld_gradient, ld_gradient, share,
                                         0, z + (size_t)first * ld_z, ld_z, count, kept, &norm,
                                         input->activation, input->norm ? &sums : NULL);
            }
        }
        if (input->norm)
            partial_from_gradient_sums(input->norm, segment, &sums, kept,
                                       (double)segment->images * pixels);
    }
    return STATUS_OK;
}
