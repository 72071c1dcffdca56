/* Buffers for trials of operations, each between guards (and, behind it, the elements that may be
 * read), where both the host and the backend may touch them, with a note per element on what its
 * value is worth. What is worth nothing (spare lanes, dropped channels) holds a value of the
 * trial's choice.
 *
 * Backends lay out tensors differently. The values of a buffer are therefore also listed in the
 * order in which they were declared: value k of one trial is value k of the other.
 */
#ifndef TAPER_OP_MEMORY_H
#define TAPER_OP_MEMORY_H

#include "ops.h"

enum element { ELEMENT_REAL, ELEMENT_BF16, ELEMENT_DOUBLE, ELEMENT_INT, ELEMENT_BYTE };

enum worth {
    WORTH_NOTHING,
    WORTH_VALUE, /* to be compared */
    WORTH_PEACE  /* nobody may write here */
};

enum { OP_RUNS = 72 };

struct op_buffer {
    const char *name;
    enum element element;
    size_t count;
    void *data;
    unsigned char *worth; /* [count] enum worth */
    size_t *values;       /* [value_count] their indices */
    size_t value_count;
    size_t runs[OP_RUNS]; /* [run_count] ends of runs of values that have a scale in common */
    int run_count;
    void *memory;
};

enum { OP_BUFFERS = 64 };

struct op_memory {
    const struct memory *place; /* NULL: the host's */
    double spare;
    struct op_buffer buffers[OP_BUFFERS];
    int count;
    unsigned long long random;
};

/* Everything `spare`, and worth nothing yet. Exits the program without memory. */
struct op_buffer *op_take(struct op_memory *memory, const char *name, enum element element,
                          size_t count);
void op_memory_release(struct op_memory *memory);

/* The element is the next of the buffer's values; once is enough. */
void op_declare(struct op_buffer *buffer, size_t index);
void op_declare_all(struct op_buffer *buffer);
/* What is declared later has another scale: another segment, another group. */
void op_end_run(struct op_buffer *buffer);

/* How much was overwritten around the buffers, and inside where nobody may write. */
int op_guards_broken(const struct op_memory *memory);

double op_element(const struct op_buffer *buffer, size_t index);
void op_set(struct op_buffer *buffer, size_t index, double value);
int op_is_spare(const struct op_memory *memory, const struct op_buffer *buffer, size_t index);
size_t op_element_size(enum element element);
struct op_buffer *op_find(struct op_memory *memory, const void *data);

/* Uniform in [low, high); the same sequence for the same start, whatever `spare` is. */
double op_random(struct op_memory *memory, double low, double high);
/* The nearest number that a bf16 can hold. */
double op_round_bf16(double value);

#endif
