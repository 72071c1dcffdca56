/* Buffers for trials of operations, each between guards (and, behind it, the elements that may be
 * read), with a note per element whether its value counts. What does not count (spare lanes,
 * dropped channels) holds a value of the trial's choice. */
#ifndef TAPER_OP_MEMORY_H
#define TAPER_OP_MEMORY_H

#include "tensor.h"

enum element { ELEMENT_REAL, ELEMENT_DOUBLE, ELEMENT_INT, ELEMENT_BYTE };

struct op_buffer {
    const char *name;
    enum element element;
    size_t count;
    void *data;
    unsigned char *counts; /* [count] */
    void *memory;
};

enum { OP_BUFFERS = 48 };

struct op_memory {
    double spare;
    struct op_buffer buffers[OP_BUFFERS];
    int count;
    unsigned long long random;
};

/* Everything `spare`, nothing counts yet. Exits the program without memory. */
struct op_buffer *op_take(struct op_memory *memory, const char *name, enum element element,
                          size_t count);
void op_memory_release(struct op_memory *memory);

/* How much around the buffers was overwritten. */
int op_guards_broken(const struct op_memory *memory);

double op_element(const struct op_buffer *buffer, size_t index);
void op_set(struct op_buffer *buffer, size_t index, double value);
struct op_buffer *op_find(struct op_memory *memory, const void *data);

/* Uniform in [low, high); the same sequence for the same start, whatever `spare` is. */
double op_random(struct op_memory *memory, double low, double high);

#endif
