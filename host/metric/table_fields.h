/* The keys of a layer of a latency table: in JSON, and as columns. */
#ifndef TAPER_TABLE_FIELDS_H
#define TAPER_TABLE_FIELDS_H

#include "metric/latency_table.h"

enum {
    MAX_TABLE_LAYERS = 1 << 20,
    MAX_TABLE_BYTES = 1 << 29,
    MAX_TABLE_NUMBER = 1 << 20, /* of channels, pixels, pictures, threads */
    TABLE_NUMBERS = 10          /* whole numbers; the last two are yes or no */
};
static const double MAX_MILLISECONDS = 1e9;

/* Where a whole number of a layer is. */
struct table_number {
    const char *name;
    size_t offset; /* of an int in struct table_layer */
    int least, most;
};
extern const struct table_number table_numbers[TABLE_NUMBERS];

static inline int *table_number_in(struct table_layer *layer, int number) {
    return (int *)((char *)layer + table_numbers[number].offset);
}

/* Indices of words, -1: there is no such word. */
int table_find_kind(const char *word);
int table_find_activation(const char *word);

/* What no single field tells. NULL, or what is wrong with it. */
const char *table_layer_fault(const struct table_layer *layer);

#endif
