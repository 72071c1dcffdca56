#include "data/crop.h"

#include <math.h>

enum { TRIES = 10 };

static double between(struct random_sequence *sequence, double least, double most) {
    return least + (most - least) * random_uniform(sequence);
}

static double clamp(double value, double least, double most) {
    return fmax(least, fmin(most, value));
}

/* The largest part in the middle whose ratio is allowed. */
static struct picture_box middle(const struct picture_recipe *recipe,
                                 const struct picture_size *picture) {
    double height = picture->height, width = picture->width;
    double ratio = clamp(width / height, recipe->ratio[0], recipe->ratio[1]);
    if (width / height < ratio)
        height = clamp(rint(width / ratio), 1, height);
    else if (width / height > ratio)
        width = clamp(rint(height * ratio), 1, width);
    return (struct picture_box){.top = floor((picture->height - height) / 2),
                                .left = floor((picture->width - width) / 2),
                                .height = height,
                                .width = width};
}

struct picture_box crop_random(const struct picture_recipe *recipe,
                               const struct picture_size *picture,
                               struct random_sequence *sequence) {
    double area = (double)picture->height * picture->width;
    double low = log(recipe->ratio[0]), high = log(recipe->ratio[1]);
    for (int i = 0; i < TRIES; i++) {
        double wanted = area * between(sequence, recipe->scale[0], recipe->scale[1]);
        double ratio = exp(between(sequence, low, high));
        double width = rint(sqrt(wanted * ratio)), height = rint(sqrt(wanted / ratio));
        if (width < 1 || width > picture->width || height < 1 || height > picture->height)
            continue;
        uint32_t down = (uint32_t)(picture->height - (int)height);
        uint32_t right = (uint32_t)(picture->width - (int)width);
        struct picture_box box = {.height = height, .width = width};
        box.top = random_below(sequence, down + 1);
        box.left = random_below(sequence, right + 1);
        return box;
    }
    return middle(recipe, picture);
}

/* The part of an axis of `old` pixels, resized to `resized`, of which the middle `out` are kept. */
static void keep_middle(int old, double resized, int out, double *start, double *length) {
    *start = rint((resized - out) / 2) * old / resized;
    *length = out * old / resized;
}

struct picture_box crop_centre(const struct picture_recipe *recipe,
                               const struct picture_size *picture) {
    struct picture_box box = {.height = picture->height, .width = picture->width};
    if (recipe->centre == 0)
        return box;
    /* The side that needs the larger enlargement becomes a whole number, the other follows it. */
    double height = rint(recipe->height / recipe->centre);
    double width = rint(recipe->width / recipe->centre);
    if (height * picture->width >= width * picture->height)
        width = floor(height * picture->width / picture->height);
    else
        height = floor(width * picture->height / picture->width);
    keep_middle(picture->height, height, recipe->height, &box.top, &box.height);
    keep_middle(picture->width, width, recipe->width, &box.left, &box.width);
    return box;
}
