/* A latency table: what layers take on one device, so that the latency of any network made of them
 * is a sum. The file (latency_table_json.c):
 *
 *   {"format": "taper latency table 1", "device": "...", "batch_images": 1, "threads": 1,
 *    "interpolation": {"points": 40, "mean_error": 0.02, "worst_error": 0.1},  (may be missing)
 *    "layers": [{"layer": "block", "in": 16, "expand": 48, "filters": 24, "kernel": 5, "stride": 2,
 *                "height": 28, "width": 28, "activation": "relu6", "squeeze_excite": false,
 *                "residual": false, "bypass": 0, "milliseconds": 0.0123}, ...]}
 *
 * Every layer has every key. height and width are the input's pixels, in, expand and filters are
 * channels; the rest is as the layer of a configuration has it. "picture" is a layer too: what a
 * pass takes beside its layers, with the picture's channels as `in`.
 */
#ifndef TAPER_LATENCY_TABLE_H
#define TAPER_LATENCY_TABLE_H

#include "network/network.h"

enum { TABLE_PICTURE = LAYER_LINEAR + 1 }; /* behind enum layer_kind */
enum { AXIS_IN, AXIS_EXPAND, AXIS_FILTERS, TABLE_AXES };

struct table_layer {
    int kind, activation;
    int kernel; /* 0: a block that is absent, a pool, a picture */
    int stride, height, width, bypass;
    int squeeze_excite, residual; /* 0 or 1 */
    int channels[TABLE_AXES];     /* expand 0: no expansion */
    double milliseconds;
};

struct latency_table {
    char device[512];
    int batch_images, threads;
    int points; /* held-out layers that were interpolated and measured; 0: not known */
    double mean_error, worst_error; /* of these, as shares of what was measured */
    int count;
    struct table_layer *layers; /* sorted by table_layer_compare() */
};
void latency_table_release(struct latency_table *table); /* a zeroed one is fine */

/* The layers of a sub-network as a table has them, and its picture last: layer_count + 1. Time 0.
 */
void table_layers(const struct network *network, const struct subnetwork *sub,
                  struct table_layer *layers);
int table_layer_compare(const void *a, const void *b); /* of all but the time */
/* "block of 16 to 24 channels, expanded to 48, kernel 5, stride 2, 28x28, relu6" */
const char *table_layer_text(const struct table_layer *layer, char text[160]);
const char *table_kind_word(int kind); /* NULL: there is none */

/* Sorts the layers; one that is there twice is an error. */
enum status latency_table_sort(struct latency_table *table);

/* The layer's time, or one between those of layers that differ from it in channels only. With
 * `alone` the layer itself does not count: how well would it be interpolated? false: there are no
 * such layers around it. */
bool latency_table_find(const struct latency_table *table, const struct table_layer *layer,
                        bool alone, double *milliseconds);

/* The sum over a network. The sentence of an error names the layer and its shape. */
enum status latency_table_sum(const struct latency_table *table, const struct network *network,
                              const struct subnetwork *sub, double *milliseconds);

/* Errors are of use (STATUS_USAGE) and name file and place. */
enum status latency_table_read(struct latency_table *table, const char *path);
enum status latency_table_write(const struct latency_table *table, const char *path);
/* A text of columns, with a line of their names, which are the keys of a layer, in any order.
 * Before it "# device: NAME", "# batch_images: N" and "# threads: N". */
enum status latency_table_read_csv(struct latency_table *table, const char *path);

#endif
