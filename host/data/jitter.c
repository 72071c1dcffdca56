#include "data/jitter.h"
#include "data/gray.h"

#include <math.h>

static uint8_t blend(float value, float with, float factor) {
    float mixed = with + factor * (value - with);
    return (uint8_t)(mixed < 0 ? 0 : mixed > 255 ? 255 : mixed);
}

static void blend_all(uint8_t *values, size_t count, float with, float factor) {
    for (size_t i = 0; i < count; i++)
        values[i] = blend(values[i], with, factor);
}

/* To the nearest whole number. */
static float mean_gray(const uint8_t *picture, size_t pixels, int channels) {
    uint64_t sum = 0;
    for (size_t i = 0; i < pixels; i++)
        sum += channels == 1 ? picture[i] : gray_of(picture + 3 * i);
    return (float)floor((double)sum / (double)pixels + 0.5);
}

static void saturate(uint8_t *rgb, size_t pixels, float factor) {
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        float gray = gray_of(rgb);
        for (int c = 0; c < 3; c++)
            rgb[c] = blend(rgb[c], gray, factor);
    }
}

void jitter_apply(int which, double factor, uint8_t *picture, size_t pixels, int channels) {
    size_t values = pixels * (size_t)channels;
    if (which == JITTER_BRIGHTNESS)
        blend_all(picture, values, 0, (float)factor);
    else if (which == JITTER_CONTRAST)
        blend_all(picture, values, mean_gray(picture, pixels, channels), (float)factor);
    else if (channels == 3)
        saturate(picture, pixels, (float)factor);
}

void jitter_random(const struct picture_recipe *recipe, struct random_sequence *sequence,
                   uint8_t *picture, size_t pixels, int channels) {
    int order[JITTERS] = {JITTER_BRIGHTNESS, JITTER_CONTRAST, JITTER_SATURATION};
    random_shuffle(sequence, order, JITTERS);
    for (int i = 0; i < JITTERS; i++) {
        double range = recipe->jitter[order[i]];
        double least = fmax(0, 1 - range), uniform = random_uniform(sequence);
        if (range > 0)
            jitter_apply(order[i], least + (1 + range - least) * uniform, picture, pixels,
                         channels);
    }
}
