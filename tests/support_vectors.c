#include "support_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct safetensors file;

const struct named_tensor *vector_named(const char *format, ...) {
    char name[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    if (file.count == 0 && safetensors_read(&file, TAPER_SOURCE_DIR
                                            "/tests/vectors/pictures.safetensors") != STATUS_OK)
        fail_msg("%s", failure());
    const struct named_tensor *found = safetensors_find(&file, name);
    if (found == NULL)
        fail_msg("there is no vector %s", name);
    return found;
}

void vectors_release(void) {
    safetensors_release(&file);
    file = (struct safetensors){0};
}

struct picture_window vector_window(const struct named_tensor *picture) {
    int height = (int)picture->shape[0], width = (int)picture->shape[1],
        channels = (int)picture->shape[2];
    return (struct picture_window){.pixels = picture->data,
                                   .stride = (size_t)width * (size_t)channels,
                                   .height = height,
                                   .width = width,
                                   .channels = channels,
                                   .box = {.height = height, .width = width}};
}
