/* The 1x1 convolution: per segment one product of kept pixels with kept weights, in panels, so that
 * the passes before and after the product work on what the first cache level holds. */
#include "convolution.h"
#include "cpu.h"

/* Weights as the forward product wants them: [in][out], rows padded with 0. */
enum status pointwise_prepare(const struct convolution *convolution) {
    int inputs = convolution->input.tensor->channels, outputs = convolution->output.channels;
    int ld = round_up(outputs, CHANNEL_ALIGN);
    for (int block = 0; block < ld; block += CHANNEL_ALIGN) {
        for (int i = 0; i < inputs; i++) {
            for (int o = block; o < block + CHANNEL_ALIGN; o++)
                convolution->prepared[(size_t)i * ld + o] =
                    o < outputs ? convolution->weight[(size_t)o * inputs + i] : 0;
        }
    }
    return STATUS_OK;
}

static void forward_segment(const struct convolution *convolution, const struct segment *segment,
                            struct scratch scratch) {
    const struct view *input = &convolution->input;
    int inputs = tensor_kept(input->tensor, segment);
    int outputs = tensor_kept(&convolution->output, segment);
    int ld_weight = round_up(convolution->output.channels, CHANNEL_ALIGN);
    struct output output;
    output_begin(&output, convolution, segment, &scratch);
    real *input_room = scratch_reals(&scratch, (size_t)PANEL_ROWS * view_ld(input, segment));
    real *output_room =
        scratch_reals(&scratch, (size_t)PANEL_ROWS * output_ld(convolution, segment));

    for (int first = 0, count; (count = view_panel(input, segment, first)) > 0; first += count) {
        struct rows a = view_rows(input, segment, first, count, input_room);
        struct target z = output_target(&output, first, output_room);
        product(z.store, z.at, z.ld, a.at, a.ld, convolution->prepared, ld_weight, count, inputs,
                outputs);
        output_panel(&output, first, count, z.at, z.ld);
    }
    output_end(&output);
}

enum status pointwise_forward(const struct convolution *convolution, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (tensor_kept(&convolution->output, segment) == 0)
            output_absent(convolution, segment);
        else
            forward_segment(convolution, segment, (struct scratch){slice->scratch});
    }
    return STATUS_OK;
}

/* Exactly the kept weights: dropped ones get nothing. */
static void add_weight_gradient(const struct convolution *convolution, const struct slice *slice,
                                const struct weight_sums *sums) {
    int ld = convolution->input.tensor->channels;
    for (int o = 0; o < sums->outputs; o++) {
        real *gradient = slice->gradient + convolution->weight_offset + (size_t)o * ld;
        struct weight_row row = weight_sums_row(sums, o);
        if (row.stride == 1) { /* said twice, so that this one becomes vectors */
            for (int i = 0; i < sums->inputs; i++)
                gradient[i] += row.at[i];
        } else {
            for (int i = 0; i < sums->inputs; i++)
                gradient[i] += row.at[(size_t)i * row.stride];
        }
    }
}

static void backward_segment(const struct convolution *convolution, const struct slice *slice,
                             const struct segment *segment) {
    struct scratch scratch = {slice->scratch};
    const struct view *input = &convolution->input;
    int inputs = tensor_kept(input->tensor, segment);
    int outputs = tensor_kept(&convolution->output, segment);
    struct weight_sums weights;
    weight_sums_begin(&weights, inputs, outputs, &scratch);
    struct view_gradient gradient;
    if (input->gradient != NULL)
        view_gradient_begin(&gradient, input, segment, &scratch);
    real *input_room = scratch_reals(&scratch, (size_t)PANEL_ROWS * view_ld(input, segment));
    real *gradient_room = scratch_reals(&scratch, (size_t)PANEL_ROWS * view_ld(input, segment));
    real *output_room =
        scratch_reals(&scratch, (size_t)PANEL_ROWS * output_ld(convolution, segment));

    for (int first = 0, count; (count = view_panel(input, segment, first)) > 0; first += count) {
        struct rows dz = output_gradient_rows(convolution, segment, first, count, output_room);
        struct rows a = view_rows(input, segment, first, count, input_room);
        weight_sums_panel(&weights, dz, a, count);
        bias_gradient_panel(convolution, slice, dz, count, outputs);
        if (input->gradient == NULL)
            continue;
        struct target da = view_gradient_target(&gradient, first, gradient_room);
        product(da.store, da.at, da.ld, dz.at, dz.ld, convolution->weight, input->tensor->channels,
                count, outputs, inputs);
        view_gradient_panel(&gradient, first, count, da.at, da.ld);
    }
    add_weight_gradient(convolution, slice, &weights);
    if (input->gradient != NULL)
        view_gradient_end(&gradient);
}

enum status pointwise_backward(const struct convolution *convolution, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (tensor_kept(&convolution->output, segment) == 0)
            view_gradient_absent(&convolution->input, segment);
        else
            backward_segment(convolution, slice, segment);
    }
    return STATUS_OK;
}
