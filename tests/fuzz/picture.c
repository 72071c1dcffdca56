/* Any bytes as a picture to classify: JPEG, PNG, PGM, PPM or IDX, as its content says. */
#include "data/picture_file.h"
#include "fuzz_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pictures pictures;
    struct picture_origin origin;
    if (size == 0)
        return 0;
    /* The first byte is the network's: gray or RGB, and its size. */
    const struct picture_recipe recipe = {.height = 1 + (data[0] >> 1 & 31),
                                          .width = 1 + (data[0] >> 3 & 31),
                                          .channels = data[0] & 1 ? 3 : 1,
                                          .shrink = 8};
    failure_clear();
    enum status status =
        picture_file_load(&pictures, &origin, fuzz_file(0, data + 1, size - 1), &recipe);
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL)
        abort();
    if (status == STATUS_OK) {
        size_t sum = 0, pixels = (size_t)pictures.count * (size_t)pictures.height *
                                 (size_t)pictures.width * (size_t)pictures.channels;
        for (size_t i = 0; i < pixels; i++)
            sum += pictures.pixels[i];
        if (sum > 255 * pixels)
            abort();
    }
    pictures_release(&pictures);
    return 0;
}
