/* Bytes to reals: (value / 255 - mean) / deviation per channel. */
#include "cpu.h"

enum status normalise_pictures(const struct normalise_pictures *normalise,
                               const struct slice *slice) {
    const struct tensor *output = &normalise->output;
    int channels = output->channels;
    size_t pixels = (size_t)output->height * output->width;
    real scale[8], shift[8];
    if (channels > 8)
        return fail(STATUS_USAGE, "pictures of %d channels are not supported", channels);
    for (int c = 0; c < channels; c++) {
        scale[c] = 1 / (255 * normalise->deviation[c]);
        shift[c] = -normalise->mean[c] / normalise->deviation[c];
    }
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        const uint8_t *from = normalise->pictures + segment->picture * pixels * channels;
        real *into = tensor_segment(output, segment);
        size_t count = segment->images * pixels;
        for (size_t p = 0; p < count; p++)
            for (int c = 0; c < channels; c++)
                into[p * channels + c] = (real)from[p * channels + c] * scale[c] + shift[c];
    }
    return STATUS_OK;
}
