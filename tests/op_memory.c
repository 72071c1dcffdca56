#include "op_memory.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

static size_t element_size(enum element element) {
    static const size_t sizes[] = {[ELEMENT_REAL] = sizeof(real),
                                   [ELEMENT_DOUBLE] = sizeof(double),
                                   [ELEMENT_INT] = sizeof(int),
                                   [ELEMENT_BYTE] = 1};
    return sizes[element];
}

/* Whole numbers have no NaN. */
static double spare_of(const struct op_memory *memory, enum element element) {
    int is_whole = element == ELEMENT_INT || element == ELEMENT_BYTE;
    return is_whole ? 0 : (double)(real)memory->spare;
}

static void *allocated(void *memory) {
    if (memory == NULL) {
        fputs("no memory for a trial\n", stderr);
        exit(1);
    }
    return memory;
}

void op_set(struct op_buffer *buffer, size_t index, double value) {
    switch (buffer->element) {
    case ELEMENT_REAL:
        ((real *)buffer->data)[index] = (real)value;
        break;
    case ELEMENT_DOUBLE:
        ((double *)buffer->data)[index] = value;
        break;
    case ELEMENT_INT:
        ((int *)buffer->data)[index] = (int)value;
        break;
    case ELEMENT_BYTE:
        ((uint8_t *)buffer->data)[index] = (uint8_t)value;
        break;
    }
}

double op_element(const struct op_buffer *buffer, size_t index) {
    switch (buffer->element) {
    case ELEMENT_REAL:
        return (double)((const real *)buffer->data)[index];
    case ELEMENT_DOUBLE:
        return ((const double *)buffer->data)[index];
    case ELEMENT_INT:
        return ((const int *)buffer->data)[index];
    case ELEMENT_BYTE:
        return ((const uint8_t *)buffer->data)[index];
    }
    return 0;
}

struct op_buffer *op_take(struct op_memory *memory, const char *name, enum element element,
                          size_t count) {
    if (memory->count == OP_BUFFERS) {
        fputs("a trial has too many buffers\n", stderr);
        exit(1);
    }
    struct op_buffer *buffer = &memory->buffers[memory->count++];
    *buffer = (struct op_buffer){.name = name, .element = element, .count = count};
    size_t whole = GUARD + (count + READ_SLACK) * element_size(element) + GUARD;
    buffer->memory = allocated(aligned_alloc(GUARD, (whole + GUARD - 1) / GUARD * GUARD));
    memset(buffer->memory, GUARD_BYTE, whole);
    buffer->data = (char *)buffer->memory + GUARD;
    buffer->counts = allocated(calloc(count + 1, 1));
    for (size_t i = 0; i < count + READ_SLACK; i++)
        op_set(buffer, i, spare_of(memory, element));
    return buffer;
}

void op_memory_release(struct op_memory *memory) {
    for (int b = 0; b < memory->count; b++) {
        free(memory->buffers[b].memory);
        free(memory->buffers[b].counts);
    }
    memory->count = 0;
}

static int differing_bytes(const unsigned char *at, size_t count) {
    int differ = 0;
    for (size_t i = 0; i < count; i++)
        differ += at[i] != GUARD_BYTE;
    return differ;
}

static int broken_around(const struct op_memory *memory, const struct op_buffer *buffer) {
    int broken = differing_bytes(buffer->memory, GUARD);
    double spare = spare_of(memory, buffer->element);
    for (size_t i = buffer->count; i < buffer->count + READ_SLACK; i++) {
        double value = op_element(buffer, i);
        broken += value != spare && !(isnan(value) && isnan(spare));
    }
    size_t end = (buffer->count + READ_SLACK) * element_size(buffer->element);
    return broken + differing_bytes((const unsigned char *)buffer->data + end, GUARD);
}

int op_guards_broken(const struct op_memory *memory) {
    int broken = 0;
    for (int b = 0; b < memory->count; b++)
        broken += broken_around(memory, &memory->buffers[b]);
    return broken;
}

struct op_buffer *op_find(struct op_memory *memory, const void *data) {
    for (int b = 0; b < memory->count; b++)
        if (memory->buffers[b].data == data)
            return &memory->buffers[b];
    return NULL;
}

double op_random(struct op_memory *memory, double low, double high) {
    memory->random = memory->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return low + (high - low) * ((double)(memory->random >> 11) / 9007199254740992.0);
}
