/* A network as the YAML that network_yaml.c reads, one layer a line. */
#include "config/keys.h"
#include "support/file.h"

#include <stdlib.h>
#include <string.h>

static int dimension(const struct layer *layer, int which) {
    const int dimensions[] = {layer->expand, layer->kernel, layer->width};
    return dimensions[which];
}

/* A number, or a list of several. */
static void write_options(const int *options, int count, FILE *file) {
    fprintf(file, "%s%d", count > 1 ? "[" : "", options[0]);
    for (int i = 1; i < count; i++)
        fprintf(file, ", %d", options[i]);
    fputs(count > 1 ? "]" : "", file);
}

static void write_dimension(const struct network *network, int index, int which, FILE *file) {
    static const char *const names[] = {"expand", "kernel", "width"};
    int shared = dimension(&network->layers[index], which);
    if (shared < 0)
        return;
    for (int i = 0; i < index; i++)
        if (dimension(&network->layers[i], which) == shared) {
            fprintf(file, ", %s: {same_as: %s}", names[which], network->layers[i].name);
            return;
        }
    const struct choice *choice = &network->choices[shared];
    fprintf(file, ", %s: ", names[which]);
    write_options(choice->options, choice->count, file);
}

/* Nothing is left to a default that depends on widths: they shrink when a network is extracted. */
static void write_layer(const struct network *network, int index, FILE *file) {
    const struct layer *layer = &network->layers[index];
    bool block = layer->kind == LAYER_BLOCK, convolution = layer->kind == LAYER_CONVOLUTION;
    fprintf(file, "\n    - {name: %s, type: %s", layer->name, layer_words[layer->kind]);
    for (int which = 0; which < 3; which++)
        write_dimension(network, index, which, file);
    if (block || convolution)
        fprintf(file, ", stride: %d", layer->stride);
    if (layer->kind != LAYER_POOL)
        fprintf(file, ", activation: %s", activation_words[layer->activation]);
    if (convolution)
        fprintf(file, ", norm: %s", layer->norm ? "yes" : "no");
    if (block)
        fprintf(file, ", squeeze_excite: %s, residual: %s", layer->squeeze_excite ? "yes" : "no",
                layer->residual ? "yes" : "no");
    if (block || convolution)
        fprintf(file, ", bypass: %d", layer->bypass);
    if (layer->bypass > 0)
        fprintf(file, ", bypass_kind: %s", bypass_words[layer->bypass_kind]);
    if (layer->present >= 0) {
        const struct choice *present = &network->choices[layer->present];
        fputs(present->count > 1         ? ", may_be_absent: yes"
              : present->options[0] == 1 ? ", present: yes"
                                         : ", present: no",
              file);
    }
    fputc('}', file);
}

static void write_input(const struct network *network, FILE *file) {
    int count = network_resolutions(network);
    bool several = count > 1;
    fputs("\n  input: {height: ", file);
    write_options(several ? network->choices[RESOLUTION_CHOICE].options : &network->height, count,
                  file);
    fputs(", width: ", file);
    write_options(several ? network->widths : &network->width, count, file);
    fprintf(file, ", channels: %d}", network->channels);
}

void network_to_yaml(const struct network *network, FILE *file) {
    write_input(network, file);
    fprintf(file, "\n  classes: %d\n  layers:", network->classes);
    for (int i = 0; i < network->layer_count; i++)
        write_layer(network, i, file);
}

static void write_comment(const char *head, FILE *file) {
    while (*head != '\0') {
        size_t length = strcspn(head, "\n");
        fprintf(file, "# %.*s\n", (int)length, head);
        head += length + (head[length] == '\n');
    }
}

struct headed_network {
    const struct network *network;
    const char *head;
};

static void write_headed(const void *context, FILE *file) {
    const struct headed_network *headed = context;
    write_comment(headed->head, file);
    fputs("network:", file);
    network_to_yaml(headed->network, file);
    fputc('\n', file);
}

enum status network_write(const struct network *network, const char *path, const char *head) {
    return file_replace_text(path, write_headed, &(struct headed_network){network, head});
}

enum status network_read(struct network *network, const char *path) {
    struct node *root = NULL;
    enum status status;
    *network = (struct network){0};
    TRY_CLEANUP(tree_read(&root, path));
    TRY_CLEANUP(check_known(root, (const char *const[]){"network"}, 1));
    const struct node *section = node_find(root, "network");
    status = section != NULL ? network_from_node(network, section)
                             : node_fail(root, "network is missing");
done:
    tree_release(root);
    return status;
}
