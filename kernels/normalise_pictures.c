/* Bytes to reals, by a table of what the 256 values of a channel become. */
#include "cpu.h"

enum { VALUES = 256 };

static void fill_table(const struct normalise_pictures *normalise, int channel, real *table) {
    for (int value = 0; value < VALUES; value++)
        table[value] =
            ((real)value / 255 - normalise->mean[channel]) / normalise->deviation[channel];
}

enum status normalise_pictures(const struct normalise_pictures *normalise,
                               const struct slice *slice) {
    const struct tensor *output = &normalise->output;
    int channels = output->channels;
    size_t picture = (size_t)output->height * output->width * channels;
    real table[VALUES];
    for (int channel = 0; channel < channels; channel++) {
        fill_table(normalise, channel, table);
        for (int s = 0; s < slice->count; s++) {
            const struct segment *segment = &slice->segments[s];
            const uint8_t *from = normalise->pictures + (size_t)segment->picture * picture;
            real *into = tensor_segment(output, segment);
            for (size_t i = channel; i < segment->images * picture; i += channels)
                into[i] = table[from[i]];
        }
    }
    return STATUS_OK;
}
