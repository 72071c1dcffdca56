#include "op_memory.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

size_t op_element_size(enum element element) {
    static const size_t sizes[] = {[ELEMENT_REAL] = sizeof(real),
                                   [ELEMENT_BF16] = 2,
                                   [ELEMENT_DOUBLE] = sizeof(double),
                                   [ELEMENT_INT] = sizeof(int),
                                   [ELEMENT_BYTE] = 1};
    return sizes[element];
}

/* Whole numbers have no NaN. */
static double spare_of(const struct op_memory *memory, enum element element) {
    switch (element) {
    case ELEMENT_INT:
    case ELEMENT_BYTE:
        return 0;
    case ELEMENT_BF16:
        return op_round_bf16(memory->spare);
    default:
        return (double)(real)memory->spare;
    }
}

int op_is_spare(const struct op_memory *memory, const struct op_buffer *buffer, size_t index) {
    double value = op_element(buffer, index), spare = spare_of(memory, buffer->element);
    return value == spare || (isnan(value) && isnan(spare));
}

static void *allocated(void *memory) {
    if (memory == NULL) {
        fputs("no memory for a trial\n", stderr);
        exit(1);
    }
    return memory;
}

/* A bf16 is the upper half of a float; halves go to the even neighbour. */
static uint16_t bf16_of(double value) {
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    if (isnan(narrow))
        return 0x7fff;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static double from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

double op_round_bf16(double value) {
    return from_bf16(bf16_of(value));
}

void op_set(struct op_buffer *buffer, size_t index, double value) {
    switch (buffer->element) {
    case ELEMENT_REAL:
        ((real *)buffer->data)[index] = (real)value;
        break;
    case ELEMENT_BF16:
        ((uint16_t *)buffer->data)[index] = bf16_of(value);
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
    case ELEMENT_BF16:
        return from_bf16(((const uint16_t *)buffer->data)[index]);
    case ELEMENT_DOUBLE:
        return ((const double *)buffer->data)[index];
    case ELEMENT_INT:
        return ((const int *)buffer->data)[index];
    case ELEMENT_BYTE:
        return ((const uint8_t *)buffer->data)[index];
    }
    return 0;
}

static void *take_bytes(const struct memory *place, size_t bytes) {
    void *memory = NULL;
    if (place == NULL)
        return allocated(aligned_alloc(GUARD, (bytes + GUARD - 1) / GUARD * GUARD));
    if (place->take_shared(&memory, bytes, "a trial") != STATUS_OK) {
        fprintf(stderr, "error: %s\n", failure());
        exit(1);
    }
    return memory;
}

struct op_buffer *op_take(struct op_memory *memory, const char *name, enum element element,
                          size_t count) {
    if (memory->count == OP_BUFFERS) {
        fputs("a trial has too many buffers\n", stderr);
        exit(1);
    }
    struct op_buffer *buffer = &memory->buffers[memory->count++];
    *buffer = (struct op_buffer){.name = name, .element = element, .count = count};
    size_t whole = GUARD + (count + READ_SLACK) * op_element_size(element) + GUARD;
    buffer->memory = take_bytes(memory->place, whole);
    memset(buffer->memory, GUARD_BYTE, whole);
    buffer->data = (char *)buffer->memory + GUARD;
    buffer->worth = allocated(calloc(count + 1, 1));
    buffer->values = allocated(calloc(count + 1, sizeof *buffer->values));
    for (size_t i = 0; i < count + READ_SLACK; i++)
        op_set(buffer, i, spare_of(memory, element));
    return buffer;
}

void op_declare(struct op_buffer *buffer, size_t index) {
    if (buffer->worth[index] == WORTH_VALUE)
        return;
    buffer->worth[index] = WORTH_VALUE;
    buffer->values[buffer->value_count++] = index;
}

void op_declare_all(struct op_buffer *buffer) {
    for (size_t i = 0; i < buffer->count; i++)
        op_declare(buffer, i);
}

void op_end_run(struct op_buffer *buffer) {
    if (buffer->run_count == OP_RUNS) {
        fputs("a buffer of a trial has too many runs\n", stderr);
        exit(1);
    }
    buffer->runs[buffer->run_count++] = buffer->value_count;
}

void op_memory_release(struct op_memory *memory) {
    for (int b = 0; b < memory->count; b++) {
        if (memory->place)
            memory->place->give_back_shared(memory->buffers[b].memory);
        else
            free(memory->buffers[b].memory);
        free(memory->buffers[b].worth);
        free(memory->buffers[b].values);
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
    for (size_t i = 0; i < buffer->count + READ_SLACK; i++)
        if (i >= buffer->count || buffer->worth[i] == WORTH_PEACE)
            broken += !op_is_spare(memory, buffer, i);
    size_t end = (buffer->count + READ_SLACK) * op_element_size(buffer->element);
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
