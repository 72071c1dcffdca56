/* From a network to the list of operations of its pass. */
#include "supernet/buffers.h"

static struct step *add_step(struct build *build, enum step_kind kind, const char *name,
                             int layer) {
    struct pass *pass = build->pass;
    struct step *step = &pass->steps[pass->step_count++];
    *step = (struct step){.kind = kind, .name = name, .layer = layer};
    return step;
}

static size_t offset_of(const struct pass *pass, int layer, enum parameter_part part,
                        enum parameter_role role) {
    const struct parameter *parameter = parameters_find(&pass->parameters, layer, part, role);
    return parameter ? parameter->offset : 0;
}

static struct batch_norm *add_norm(struct build *build, int layer, enum parameter_part part,
                                   const struct tensor *z) {
    struct pass *pass = build->pass;
    int channels = z->channels;
    struct batch_norm *norm = &pass->norms[pass->norm_count++];
    size_t domains = pass->options.shared_norm ? 1 : pass_subnetworks(pass);
    size_t stride = round_up(channels, CHANNEL_ALIGN);
    *norm = (struct batch_norm){.channels = channels,
                                .stride = (int)stride,
                                .parts = norm_parts(pass, z),
                                .epsilon = pass->options.epsilon,
                                .weight_offset = offset_of(pass, layer, part, ROLE_NORM_WEIGHT),
                                .bias_offset = offset_of(pass, layer, part, ROLE_NORM_BIAS)};
    real **rows[] = {&norm->mean,   &norm->variance, &norm->scale,   &norm->shift,
                     &norm->grad_y, &norm->grad_z,   &norm->grad_one};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        *rows[i] = take_reals(build, domains * stride);
    take_partials(build, norm);
    return norm;
}

static enum convolution_kind convolution_kind_of(enum step_kind kind) {
    return kind == STEP_DENSE       ? CONVOLUTION_DENSE
           : kind == STEP_POINTWISE ? CONVOLUTION_POINTWISE
                                    : CONVOLUTION_DEPTHWISE;
}

/* One convolution whose raw output is `output`; its batch-norm, if the layer has one. */
static struct step *add_convolution(struct build *build, enum step_kind kind, const char *name,
                                    int layer, enum parameter_part part, struct view input,
                                    struct tensor output, int stride, bool has_norm) {
    struct pass *pass = build->pass;
    struct step *step = add_step(build, kind, name, layer);
    const struct parameter *weight = parameters_find(&pass->parameters, layer, part, ROLE_WEIGHT);
    step->part = part;
    step->convolution = (struct convolution){.kind = convolution_kind_of(kind),
                                             .input = input,
                                             .output = output,
                                             .kernel = weight->rank == 4 ? weight->shape[3] : 1,
                                             .kernels = pass->widths[layer].kernel,
                                             .stride = stride,
                                             .weight_offset = weight->offset};
    bool norm_folded = has_norm && pass->options.folded;
    step->convolution.bias_offset =
        offset_of(pass, layer, part, norm_folded ? ROLE_NORM_BIAS : ROLE_BIAS);
    if (has_norm && !norm_folded)
        step->convolution.norm = add_norm(build, layer, part, &step->convolution.output);
    return step;
}

/* Once all fields are set: buffers that depend on the whole operation. */
static void finish_convolution(struct build *build, struct step *step) {
    const struct ops *ops = build->pass->ops;
    struct convolution *convolution = &step->convolution;
    convolution->prepared = take_reals(build, ops->convolution_prepared_size(convolution));
    build->pass->convolutions[build->pass->convolution_count++] = convolution;
    size_t scratch = ops->convolution_scratch(convolution);
    if (scratch > build->scratch)
        build->scratch = scratch;
}

/* What a layer hands to the next one. */
struct layer_output {
    struct view view;
    int channels; /* of the full network */
};

/* A later branch goes on from the output of any layer: then each has memory of its own. */
static struct tensor output_tensor(struct build *build, int layer, int height, int width,
                                   int channels, const int *kept) {
    if (build->pass->options.branches > 1)
        return own_tensor(build, height, width, channels, kept);
    return activation_tensor(build, layer % 2 ? BUFFER_OUTPUT_ODD : BUFFER_OUTPUT_EVEN, height,
                             width, channels, kept);
}

static const struct tensor *output_gradient(struct build *build, int layer, int height, int width,
                                            int channels, const int *kept) {
    if (!build->pass->options.backward)
        return NULL;
    enum buffer buffer = layer % 2 ? BUFFER_GRADIENT_ODD : BUFFER_GRADIENT_EVEN;
    return keep_tensor(build, shared_tensor(build, buffer, height, width, channels, kept));
}

/* y = combine(main, shortcut), materialised. */
static struct layer_output add_combine(struct build *build, int layer,
                                       const struct layer_shape *shape, struct view main,
                                       const struct layer_output *input) {
    struct pass *pass = build->pass;
    const struct layer *description = &pass->network->layers[layer];
    struct step *step = add_step(build, STEP_COMBINE, "combine", layer);
    int height = shape->out_height, width = shape->out_width;
    struct tensor output =
        output_tensor(build, layer, height, width, shape->out, pass->widths[layer].out);
    const struct tensor *gradient =
        output_gradient(build, layer, height, width, shape->out, pass->widths[layer].out);
    main.gradient = gradient; /* the derivative is applied in place */
    step->combine = (struct combine){.main = main,
                                     .bypass = description->bypass,
                                     .residual = description->residual,
                                     .output = output,
                                     .output_gradient = gradient};
    if (description->bypass > 0 || description->residual) {
        step->combine.shortcut = input->view;
        step->combine.shortcut.accumulate = false;
        step->combine.pool = description->bypass_kind == BYPASS_POOL && description->stride == 2;
    }
    return (struct layer_output){
        .view = {.tensor = keep_tensor(build, output), .gradient = gradient},
        .channels = shape->out};
}

static bool has_shortcut(const struct layer *layer) {
    return layer->bypass > 0 || layer->residual;
}

static struct layer_output build_convolution(struct build *build, int layer,
                                             const struct layer_shape *shape,
                                             struct layer_output input) {
    struct pass *pass = build->pass;
    const struct layer *description = &pass->network->layers[layer];
    bool pointwise = shape->kernel == 1 && description->stride == 1 && layer > 0;
    struct tensor z =
        activation_tensor(build, BUFFER_PROJECTED, shape->out_height, shape->out_width,
                          shape->filters, pass->widths[layer].filters);
    struct view from = input.view;
    from.accumulate = has_shortcut(description) && from.gradient != NULL;
    struct step *step = add_convolution(build, pointwise ? STEP_POINTWISE : STEP_DENSE,
                                        pointwise ? "pointwise" : "dense", layer, PART_MAIN, from,
                                        z, description->stride, description->norm);
    struct view main = {.tensor = keep_tensor(build, z),
                        .norm = step->convolution.norm,
                        .activation = description->activation};
    /* A pool reads through norm and activation itself: nothing needs to be materialised. */
    bool pooled = layer + 1 < pass->network->layer_count &&
                  pass->network->layers[layer + 1].kind == LAYER_POOL && !has_shortcut(description);
    struct layer_output output;
    if (pooled) {
        main.gradient = output_gradient(build, layer, z.height, z.width, z.channels, z.kept);
        output = (struct layer_output){.view = main, .channels = z.channels};
        step->convolution.output_gradient = main.gradient;
        finish_convolution(build, step);
        return output;
    }
    int convolution = pass->step_count - 1;
    output = add_combine(build, layer, shape, main, &input);
    step = &pass->steps[convolution];
    step->convolution.output_gradient = output.view.gradient;
    finish_convolution(build, step);
    return output;
}

static const struct tensor *inner_gradient(struct build *build, enum buffer buffer,
                                           const struct tensor *z) {
    if (!build->pass->options.backward)
        return NULL;
    return keep_tensor(build,
                       shared_tensor(build, buffer, z->height, z->width, z->channels, z->kept));
}

static const struct tensor *add_squeeze_excite(struct build *build, int layer,
                                               const struct layer_shape *shape, struct view input) {
    struct pass *pass = build->pass;
    struct step *step = add_step(build, STEP_SQUEEZE_EXCITE, "squeeze-excite", layer);
    const struct layer_widths *widths = &pass->widths[layer];
    step->squeeze_excite = (struct squeeze_excite){
        .input = input,
        .pooled = own_tensor(build, 1, 1, shape->expand, widths->expand),
        .hidden = own_tensor(build, 1, 1, shape->squeeze, widths->squeeze),
        .gate = own_tensor(build, 1, 1, shape->expand, widths->expand),
        .reduce_offset = offset_of(pass, layer, PART_REDUCE, ROLE_WEIGHT),
        .reduce_bias_offset = offset_of(pass, layer, PART_REDUCE, ROLE_BIAS),
        .expand_offset = offset_of(pass, layer, PART_GATE, ROLE_WEIGHT),
        .expand_bias_offset = offset_of(pass, layer, PART_GATE, ROLE_BIAS)};
    return keep_tensor(build, step->squeeze_excite.gate);
}

static struct layer_output build_absent(struct build *build, int layer,
                                        const struct layer_shape *shape,
                                        struct layer_output input) {
    struct tensor nothing = tensor_shape(build, shape->out_height, shape->out_width, 0,
                                         build->pass->widths[layer].filters);
    struct view main = {.tensor = keep_tensor(build, nothing)};
    return add_combine(build, layer, shape, main, &input);
}

/* [expand 1x1,] depthwise k x k, [squeeze-excite,] project 1x1, combine. */
static struct layer_output build_block(struct build *build, int layer,
                                       const struct layer_shape *shape, struct layer_output input) {
    struct pass *pass = build->pass;
    const struct layer *description = &pass->network->layers[layer];
    const struct layer_widths *widths = &pass->widths[layer];
    if (shape->filters == 0) /* dropped in a stand-alone network: hands its input on */
        return build_absent(build, layer, shape, input);
    bool shortcut = has_shortcut(description);
    struct view filtered_from = input.view; /* what the depthwise convolution reads */
    filtered_from.accumulate = shortcut;
    if (description->expansion) {
        struct tensor expanded = activation_tensor(build, BUFFER_EXPANDED, shape->in_height,
                                                   shape->in_width, shape->expand, widths->expand);
        struct view from = input.view;
        from.accumulate = shortcut;
        struct step *expand = add_convolution(build, STEP_POINTWISE, "expand", layer, PART_EXPAND,
                                              from, expanded, 1, true);
        filtered_from =
            (struct view){.tensor = keep_tensor(build, expanded),
                          .norm = expand->convolution.norm,
                          .activation = description->activation,
                          .gradient = inner_gradient(build, BUFFER_GRADIENT_EXPANDED, &expanded)};
        expand->convolution.output_gradient = filtered_from.gradient;
        finish_convolution(build, expand);
    }

    struct tensor filtered = activation_tensor(build, BUFFER_FILTERED, shape->out_height,
                                               shape->out_width, shape->expand, widths->expand);
    struct step *depthwise =
        add_convolution(build, STEP_DEPTHWISE, "depthwise", layer, PART_DEPTHWISE, filtered_from,
                        filtered, description->stride, true);
    struct view projected_from = {.tensor = keep_tensor(build, filtered),
                                  .norm = depthwise->convolution.norm,
                                  .activation = description->activation,
                                  .gradient =
                                      inner_gradient(build, BUFFER_GRADIENT_FILTERED, &filtered)};
    depthwise->convolution.output_gradient = projected_from.gradient;
    finish_convolution(build, depthwise);
    if (description->squeeze_excite)
        projected_from.gate = add_squeeze_excite(build, layer, shape, projected_from);

    struct tensor projected = activation_tensor(build, BUFFER_PROJECTED, shape->out_height,
                                                shape->out_width, shape->filters, widths->filters);
    int project = pass->step_count;
    add_convolution(build, STEP_POINTWISE, "project", layer, PART_PROJECT, projected_from,
                    projected, 1, true);
    struct view main = {.tensor = keep_tensor(build, projected),
                        .norm = pass->steps[project].convolution.norm};
    struct layer_output output = add_combine(build, layer, shape, main, &input);
    pass->steps[project].convolution.output_gradient = output.view.gradient;
    finish_convolution(build, &pass->steps[project]);
    return output;
}

static struct layer_output build_pool(struct build *build, int layer, struct layer_output input) {
    struct pass *pass = build->pass;
    struct step *step = add_step(build, STEP_POOL, "pool", layer);
    struct tensor output = own_tensor(build, 1, 1, input.channels, pass->widths[layer].out);
    const struct tensor *gradient =
        output_gradient(build, layer, 1, 1, input.channels, pass->widths[layer].out);
    step->pool =
        (struct pool_mean){.input = input.view, .output = output, .output_gradient = gradient};
    return (struct layer_output){
        .view = {.tensor = keep_tensor(build, output), .gradient = gradient},
        .channels = input.channels};
}

static struct layer_output build_linear(struct build *build, int layer,
                                        const struct layer_shape *shape,
                                        struct layer_output input) {
    struct pass *pass = build->pass;
    struct tensor z = own_tensor(build, 1, 1, shape->filters, pass->widths[layer].filters);
    struct step *step =
        add_convolution(build, STEP_POINTWISE, "linear", layer, PART_MAIN, input.view, z, 1, false);
    struct view view = {.tensor = keep_tensor(build, z),
                        .activation = pass->network->layers[layer].activation,
                        .gradient = output_gradient(build, layer, 1, 1, z.channels, z.kept)};
    step->convolution.output_gradient = view.gradient;
    finish_convolution(build, step);
    return (struct layer_output){.view = view, .channels = z.channels};
}

static struct layer_output build_pictures(struct build *build) {
    struct pass *pass = build->pass;
    const struct network *network = pass->network;
    struct resolution size = network_resolution(network, pass->resolution);
    struct tensor *input = &pass->pictures.output;
    *input = (struct tensor){.image_size = (size_t)size.height * size.width * network->channels,
                             .height = size.height,
                             .width = size.width,
                             .channels = network->channels,
                             .align = 1,
                             .kept = pass->picture_channels};
    input->data = take_elements(build, input->image_size * pass->slots);
    pass->pictures.mean = pass->picture_mean;
    pass->pictures.deviation = pass->picture_deviation;
    return (struct layer_output){.view = {.tensor = input}, .channels = network->channels};
}

void build_layers(struct build *build) {
    struct pass *pass = build->pass;
    struct layer_shape shapes[MAX_LAYERS];
    struct subnetwork largest = subnetwork_largest(pass->network);
    pass->step_count = pass->convolution_count = pass->norm_count = pass->tensor_count = 0;
    largest.option[RESOLUTION_CHOICE] = (short)pass->resolution;
    network_shapes(pass->network, &largest, shapes);
    struct layer_output output = build_pictures(build);
    for (int layer = 0; layer < pass->network->layer_count; layer++) {
        switch (pass->network->layers[layer].kind) {
        case LAYER_CONVOLUTION:
            output = build_convolution(build, layer, &shapes[layer], output);
            break;
        case LAYER_BLOCK:
            output = build_block(build, layer, &shapes[layer], output);
            break;
        case LAYER_POOL:
            output = build_pool(build, layer, output);
            break;
        case LAYER_LINEAR:
            output = build_linear(build, layer, &shapes[layer], output);
            break;
        }
    }
    pass->logits = output.view;
}
