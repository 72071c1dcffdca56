/* A network as a module of plain PyTorch: fixed classes, then one line a layer. */
#include "export/export.h"
#include "export/names.h"
#include "support/file.h"

#include <stdio.h>

static const char head[] = "import torch\n"
                           "from torch import nn\n"
                           "from torch.nn import functional\n"
                           "\n";

/* Everything after the constants; the classes hold what the names of the tensors ask for. */
static const char classes[] =
    "\n\n"
    "def normalise(pictures):\n"
    "    \"\"\"Pixels of 0..255 [N, channels, height, width] as the network reads them.\"\"\"\n"
    "    mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in (MEAN, "
    "DEVIATION))\n"
    "    return (pictures.float() / 255 - mean) / deviation\n"
    "\n\n"
    "def identity(x):\n"
    "    return x\n"
    "\n\n"
    "def norm(channels):\n"
    "    return nn.BatchNorm2d(channels, eps=EPSILON)\n"
    "\n\n"
    "def combine(y, x, residual=False, bypass=0, pool=False):\n"
    "    \"\"\"y: a layer's M filters; x: its input of C channels. x is added where both have a\n"
    "    channel (residual); channels from M to min(C, bypass) are x's own, at stride 2 the mean "
    "of\n"
    "    2x2 of its pixels (NetAdaptV2's channel-level bypass).\"\"\"\n"
    "    filters = y.shape[1]\n"
    "    if residual:\n"
    "        shared = min(filters, x.shape[1])\n"
    "        y = torch.cat([y[:, :shared] + x[:, :shared], y[:, shared:]], 1)\n"
    "    if min(x.shape[1], bypass) <= filters:\n"
    "        return y\n"
    "    return torch.cat([y, shortcut(x, bypass, pool)[:, filters:]], 1)\n"
    "\n\n"
    "def shortcut(x, bypass, pool):\n"
    "    x = functional.avg_pool2d(x, 2, ceil_mode=True) if pool else x\n"
    "    return x[:, :bypass]\n"
    "\n\n"
    "class Absent(nn.Module):\n"
    "    \"\"\"A block that the search dropped: its input's first channels.\"\"\"\n"
    "\n"
    "    def __init__(self, bypass, pool):\n"
    "        super().__init__()\n"
    "        self.bypass, self.pool = bypass, pool\n"
    "\n"
    "    def forward(self, x):\n"
    "        return shortcut(x, self.bypass, self.pool)\n"
    "\n\n"
    "class SqueezeExcite(nn.Module):\n"
    "    def __init__(self, channels, squeezed):\n"
    "        super().__init__()\n"
    "        self.conv_reduce = nn.Conv2d(channels, squeezed, 1)\n"
    "        self.conv_expand = nn.Conv2d(squeezed, channels, 1)\n"
    "\n"
    "    def forward(self, x):\n"
    "        squeezed = functional.relu(self.conv_reduce(x.mean((2, 3), keepdim=True)))\n"
    "        return x * functional.hardsigmoid(self.conv_expand(squeezed))\n"
    "\n\n"
    "class Convolution(nn.Module):\n"
    "    def __init__(self, channels, filters, kernel, stride, activation, normed=True, "
    "**combined):\n"
    "        super().__init__()\n"
    "        self.conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=not "
    "normed)\n"
    "        self.bn1 = norm(filters) if normed else nn.Identity()\n"
    "        self.activation, self.combined = activation, combined\n"
    "\n"
    "    def forward(self, x):\n"
    "        return combine(self.activation(self.bn1(self.conv(x))), x, **self.combined)\n"
    "\n\n"
    "class SeparableBlock(nn.Module):\n"
    "    \"\"\"Depthwise, squeeze-excite, project.\"\"\"\n"
    "\n"
    "    def __init__(self, channels, filters, kernel, stride, activation, squeezed, **combined):\n"
    "        super().__init__()\n"
    "        self.conv_dw = nn.Conv2d(channels, channels, kernel, stride, kernel // 2,\n"
    "                                 groups=channels, bias=False)\n"
    "        self.bn1 = norm(channels)\n"
    "        self.se = SqueezeExcite(channels, squeezed) if squeezed else nn.Identity()\n"
    "        self.conv_pw = nn.Conv2d(channels, filters, 1, bias=False)\n"
    "        self.bn2 = norm(filters)\n"
    "        self.activation, self.combined = activation, combined\n"
    "\n"
    "    def forward(self, x):\n"
    "        y = self.se(self.activation(self.bn1(self.conv_dw(x))))\n"
    "        return combine(self.bn2(self.conv_pw(y)), x, **self.combined)\n"
    "\n\n"
    "class Block(nn.Module):\n"
    "    \"\"\"Expand, depthwise, squeeze-excite, project.\"\"\"\n"
    "\n"
    "    def __init__(self, channels, expand, filters, kernel, stride, activation, squeezed,\n"
    "                 **combined):\n"
    "        super().__init__()\n"
    "        self.conv_pw = nn.Conv2d(channels, expand, 1, bias=False)\n"
    "        self.bn1 = norm(expand)\n"
    "        self.conv_dw = nn.Conv2d(expand, expand, kernel, stride, kernel // 2, groups=expand,\n"
    "                                 bias=False)\n"
    "        self.bn2 = norm(expand)\n"
    "        self.se = SqueezeExcite(expand, squeezed) if squeezed else nn.Identity()\n"
    "        self.conv_pwl = nn.Conv2d(expand, filters, 1, bias=False)\n"
    "        self.bn3 = norm(filters)\n"
    "        self.activation, self.combined = activation, combined\n"
    "\n"
    "    def forward(self, x):\n"
    "        y = self.activation(self.bn1(self.conv_pw(x)))\n"
    "        y = self.se(self.activation(self.bn2(self.conv_dw(y))))\n"
    "        return combine(self.bn3(self.conv_pwl(y)), x, **self.combined)\n"
    "\n\n"
    "class Network(nn.Module):\n"
    "    def __init__(self):\n"
    "        super().__init__()\n";

struct writer {
    const struct exported *exported;
    struct layer_shape shapes[MAX_LAYERS];
    FILE *file;
};

static const char *activation_of(const struct layer *layer) {
    static const char *const functions[] = {[ACTIVATION_NONE] = "identity",
                                            [ACTIVATION_RELU] = "functional.relu",
                                            [ACTIVATION_RELU6] = "functional.relu6",
                                            [ACTIVATION_HARD_SWISH] = "functional.hardswish",
                                            [ACTIVATION_HARD_SIGMOID] = "functional.hardsigmoid"};
    return functions[layer->activation];
}

static bool pools(const struct layer *layer) {
    return layer->stride == 2 && layer->bypass_kind == BYPASS_POOL;
}

/* What combine() does beside taking y as it is. */
static void write_combined(const struct writer *writer, int index) {
    const struct layer *layer = &writer->exported->network->layers[index];
    const struct layer_shape *shape = &writer->shapes[index];
    if (layer->residual)
        fputs(", residual=True", writer->file);
    if (shape->out > shape->filters)
        fprintf(writer->file, ", bypass=%d%s", layer->bypass, pools(layer) ? ", pool=True" : "");
}

static void write_absent(const struct writer *writer, int index) {
    const struct layer *layer = &writer->exported->network->layers[index];
    if (writer->shapes[index].out == writer->shapes[index].in && !pools(layer))
        fputs("nn.Identity()", writer->file);
    else
        fprintf(writer->file, "Absent(%d, pool=%s)", layer->bypass,
                pools(layer) ? "True" : "False");
}

static void write_block(const struct writer *writer, int index) {
    const struct layer *layer = &writer->exported->network->layers[index];
    const struct layer_shape *shape = &writer->shapes[index];
    FILE *file = writer->file;
    if (shape->filters == 0) {
        write_absent(writer, index);
        return;
    }
    fprintf(file, "%s(%d, ",
            layer->kind == LAYER_CONVOLUTION ? "Convolution"
            : layer->expansion               ? "Block"
                                             : "SeparableBlock",
            shape->in);
    if (layer->expansion)
        fprintf(file, "%d, ", shape->expand);
    fprintf(file, "%d, %d, %d, %s", shape->filters, shape->kernel, layer->stride,
            activation_of(layer));
    if (layer->kind == LAYER_BLOCK)
        fprintf(file, ", %d", shape->squeeze);
    else if (!layer->norm)
        fputs(", normed=False", file);
    write_combined(writer, index);
    fputc(')', file);
}

/* blocks: a sequence of stages, each a sequence of its blocks. */
static void write_blocks(const struct writer *writer) {
    const struct network *network = writer->exported->network;
    FILE *file = writer->file;
    int stage = -1;
    fputs("        self.blocks = nn.Sequential(", file);
    for (int i = 0; i < network->layer_count; i++) {
        int its = names_stage(network, i);
        if (its < 0)
            continue;
        if (its != stage)
            fprintf(file, "%s\n            nn.Sequential(\n", stage < 0 ? "" : "            ),");
        stage = its;
        fputs("                ", file);
        write_block(writer, i);
        fprintf(file, ",  # %s\n", network->layers[i].name);
    }
    fputs(stage < 0 ? ")\n" : "            ),\n        )\n", file);
}

static bool has_stem(const struct network *network) {
    return network->layers[0].kind == LAYER_CONVOLUTION;
}

static void write_stem(const struct writer *writer) {
    const struct layer *stem = &writer->exported->network->layers[0];
    const struct layer_shape *shape = &writer->shapes[0];
    fprintf(writer->file, "        self.conv_stem = nn.Conv2d(%d, %d, %d, %d, %d, bias=%s)\n",
            shape->in, shape->filters, shape->kernel, stem->stride, shape->kernel / 2,
            stem->norm ? "False" : "True");
    if (stem->norm)
        fprintf(writer->file, "        self.bn1 = norm(%d)\n", shape->filters);
}

static void write_linears(const struct writer *writer) {
    const struct network *network = writer->exported->network;
    char name[LAYER_NAME];
    for (int i = 0; i < network->layer_count; i++) {
        const struct layer_shape *shape = &writer->shapes[i];
        bool last = i == network->layer_count - 1;
        if (network->layers[i].kind == LAYER_LINEAR)
            fprintf(writer->file, "        self.%s = nn.%s(%d, %d%s)\n",
                    names_layer(network, i, name), last ? "Linear" : "Conv2d", shape->in,
                    shape->filters, last ? "" : ", 1");
    }
}

static void write_forward(const struct writer *writer) {
    const struct network *network = writer->exported->network;
    FILE *file = writer->file;
    char name[LAYER_NAME];
    fputs("\n    def forward(self, x):\n", file);
    if (has_stem(network)) {
        fprintf(file, "        y = %s(%sself.conv_stem(x)%s)\n", activation_of(&network->layers[0]),
                network->layers[0].norm ? "self.bn1(" : "", network->layers[0].norm ? ")" : "");
        fputs("        x = combine(y, x", file);
        write_combined(writer, 0);
        fputs(")\n", file);
    }
    fputs("        x = self.blocks(x).mean((2, 3), keepdim=True)\n", file);
    for (int i = 0; i < network->layer_count - 1; i++)
        if (network->layers[i].kind == LAYER_LINEAR)
            fprintf(file, "        x = %s(self.%s(x))\n", activation_of(&network->layers[i]),
                    names_layer(network, i, name));
    fputs("        return self.classifier(x.flatten(1))\n", file);
}

static void write_values(FILE *file, const double *values, int count) {
    for (int i = 0; i < count; i++)
        fprintf(file, "%s%.9g", i > 0 ? ", " : "", values[i]);
}

static void write_constants(const struct exported *exported, FILE *file) {
    fputs("MEAN = [", file);
    write_values(file, exported->mean, exported->network->channels);
    fputs("]  # of the pictures' channels, values in 0..1\nDEVIATION = [", file);
    write_values(file, exported->deviation, exported->network->channels);
    fprintf(file, "]\nEPSILON = %.9g  # of batch-norms\n", exported->epsilon);
}

static void write_load(const struct exported *exported, FILE *file) {
    fprintf(file,
            "\n\ndef load(path=\"%s.safetensors\"):\n"
            "    \"\"\"The trained network, ready to classify.\"\"\"\n"
            "    from safetensors.torch import load_file\n"
            "    network = Network()\n"
            "    network.load_state_dict(load_file(path))\n"
            "    return network.eval()\n",
            exported->name);
}

static void write_module(const void *context, FILE *file) {
    const struct exported *exported = context;
    const struct network *network = exported->network;
    struct writer writer = {.exported = exported, .file = file};
    struct subnetwork whole = subnetwork_largest(network);
    network_shapes(network, &whole, writer.shapes);
    fprintf(file,
            "\"\"\"The network of %s.yaml, written by taper %s.\n\n"
            "load() reads %s.safetensors; the network reads normalise(pictures), float\n"
            "[N, %d, %d, %d], and answers with the logits of %d classes.\n\"\"\"\n",
            exported->name, TAPER_VERSION, exported->name, network->channels, network->height,
            network->width, network->classes);
    fputs(head, file);
    write_constants(exported, file);
    fputs(classes, file);
    if (has_stem(network))
        write_stem(&writer);
    write_blocks(&writer);
    write_linears(&writer);
    write_forward(&writer);
    write_load(exported, file);
}

enum status pytorch_write(const struct exported *exported, const char *path) {
    return file_replace_text(path, write_module, exported);
}
