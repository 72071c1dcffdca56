/* The searchable network and its sub-networks.
 *
 * A network is a chain of named layers in the order of the data. Everything that the search may
 * shrink is a CHOICE: a name ("blocks.1.kernel"), a kind and options from the largest to the
 * smallest. A sub-network is one option per choice and nothing else. A stand-alone network (found,
 * extracted) is the same structure with one option per choice.
 *
 * A network owns its layers and choices: network_release(). Sub-networks and shapes are values.
 */
#ifndef TAPER_NETWORK_H
#define TAPER_NETWORK_H

#include "support/status.h"
#include "tensor.h"
#include <stdbool.h>

enum {
    MAX_LAYERS = 128,
    MAX_CHOICES = 512,
    MAX_OPTIONS = 256,
    MAX_RESOLUTIONS = 16,
    MAX_NAME = 64
};

enum layer_kind {
    LAYER_CONVOLUTION, /* dense k x k, batch-norm (or bias), activation; optional channel bypass */
    LAYER_BLOCK, /* inverted residual: [expand 1x1,] depthwise k x k, [squeeze-excite,] project 1x1
                  */
    LAYER_POOL,  /* mean over all pixels */
    LAYER_LINEAR /* fully connected with bias, activation; after a pool */
};

enum bypass_kind {
    BYPASS_CROP, /* channel i of the input takes the place of the dropped channel i */
    BYPASS_POOL  /* the same of the 2x2 mean, for stride 2 */
};

enum choice_kind {
    CHOICE_WIDTH,     /* filters kept */
    CHOICE_KERNEL,    /* kernel size kept */
    CHOICE_PRESENT,   /* options {1, 0}: 0 drops the whole block */
    CHOICE_RESOLUTION /* height of the pictures */
};

enum { RESOLUTION_CHOICE = 0 }; /* its index, in a network that has one */

struct choice {
    char name[MAX_NAME + 16]; /* layer name, '.', dimension; or "resolution" */
    enum choice_kind kind;
    int count;                /* at least 1; 1: pinned */
    int options[MAX_OPTIONS]; /* strictly falling */
};

struct layer {
    char name[MAX_NAME];
    enum layer_kind kind;
    int input; /* index of the layer whose output it reads; -1: the picture */
    int stride;
    enum activation activation; /* of a convolution or linear layer; inside a block: of expansion
                                   and depthwise (its projection is linear) */
    bool norm;                  /* convolution: batch-norm, else bias. Blocks always have it */
    bool expansion;             /* block: has an expansion layer */
    bool residual;              /* block: adds its input where the channels agree */
    bool squeeze_excite;        /* block; S = squeeze_width(M_e) */
    int bypass;                 /* T of method 2.1, in channels; 0: none */
    enum bypass_kind bypass_kind;
    /* Indices into network->choices. Tied layers share one. -1 where a kind has no such dimension
     * (a pool has none; a linear layer only width). */
    int width;   /* filters of the layer; of a block: M_p of its projection */
    int expand;  /* block with expansion: M_e */
    int kernel;  /* block, convolution */
    int present; /* block */
};

struct network {
    int height, width, channels; /* of the picture; the largest where there are several sizes */
    /* Several sizes are choice 0, "resolution", whose options are heights; the widths: */
    int widths[MAX_RESOLUTIONS];
    int classes; /* width of the last layer */
    int layer_count, choice_count;
    struct layer *layers;
    struct choice *choices;
};

void network_release(struct network *network);
enum status network_copy(struct network *copy, const struct network *network);

/* Checks what no single key can: chain, agreeing shapes, strides, bypass limits, tied options of
 * equal count, last layer a linear one. The sentence names the layer. */
enum status network_check(const struct network *network);
/* Its part for one layer after layers that passed: for readers that know the layer's line. */
enum status network_check_layer(const struct network *network, int index);

struct subnetwork {
    short option[MAX_CHOICES]; /* index into choice.options, 0 the largest; unused entries 0 */
};

static inline int subnetwork_value(const struct network *network, const struct subnetwork *sub,
                                   int choice) {
    return network->choices[choice].options[sub->option[choice]];
}

/* Sizes of pictures, from the largest: 1 without the choice. */
struct resolution {
    int height, width;
};
int network_resolutions(const struct network *network);
struct resolution network_resolution(const struct network *network, int option);
/* The option that a sub-network takes; 0 without the choice. */
int subnetwork_resolution(const struct network *network, const struct subnetwork *sub);
/* The option with the size of a stand-alone network; -1: none. */
int network_find_resolution(const struct network *network, const struct network *alone);
/* Those of network_check() that concern the sizes. */
enum status network_check_resolutions(const struct network *network);

struct subnetwork subnetwork_largest(const struct network *network);
struct subnetwork subnetwork_smallest(const struct network *network);

/* Choices that change nothing (all but `present` of an absent block) at option 0, so that equal
 * sub-networks are equal bytes. */
struct subnetwork subnetwork_canonical(const struct network *network, struct subnetwork sub);
bool subnetwork_equal(const struct subnetwork *a, const struct subnetwork *b);

/* One layer as a sub-network runs it. Widths in channels. Absent block: filters = expand = squeeze
 * = 0, out = min(C, T). */
struct layer_shape {
    int in;      /* C: channels that the input really has */
    int filters; /* M */
    int out;     /* Z = max(min(C, T), M) */
    int expand;  /* block: M_e; without expansion layer: C */
    int squeeze; /* block with squeeze-excite: S */
    int kernel;
    int in_height, in_width, out_height, out_width;
};

/* shapes[layer_count]. Total for any sub-network: all its outputs are at least 1 channel wide when
 * network_check() passed. */
void network_shapes(const struct network *network, const struct subnetwork *sub,
                    struct layer_shape *shapes);

/* timm's make_divisible(width / 4, 8): nearest multiple of 8, at least 8, not below 90 %. */
int squeeze_width(int expand);

/* Multiplications of convolutions, squeeze-excite and linear layers for one picture, and trainable
 * parameters (batch-norm scale and shift included). */
struct cost {
    double macs, parameters;
};
struct cost network_cost(const struct network *network, const struct subnetwork *sub);

/* The stand-alone network of a sub-network: same layers and names, one option per choice, bypass
 * limits and residuals kept explicitly. An absent block stays as a layer with present = {0}. Its
 * pictures have the sub-network's size. */
enum status network_extract(struct network *alone, const struct network *network,
                            const struct subnetwork *sub);

#endif
