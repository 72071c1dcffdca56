#include "commands/synthetic_feed.h"
#include "data/picture_decoder.h"
#include "data/synthetic.h"

#include <stdlib.h>

enum status synthetic_pictures_make(struct synthetic_pictures *pictures) {
    for (int i = 0; i < SYNTHETIC_PICTURES; i++)
        TRY(synthetic_jpeg((uint64_t)i, 0, SYNTHETIC_HEIGHT, SYNTHETIC_WIDTH, &pictures->files[i],
                           &pictures->sizes[i]));
    return STATUS_OK;
}

void synthetic_pictures_release(struct synthetic_pictures *pictures) {
    for (int i = 0; i < SYNTHETIC_PICTURES; i++)
        free(pictures->files[i]);
}

double synthetic_pictures_mean(const struct synthetic_pictures *pictures) {
    double bytes = 0;
    for (int i = 0; i < SYNTHETIC_PICTURES; i++)
        bytes += (double)pictures->sizes[i] / SYNTHETIC_PICTURES;
    return bytes;
}

static enum status begin(const void *source, void **work) {
    (void)source;
    struct picture_decoder *decoder;
    TRY(picture_decoder_create(&decoder, PICTURE_MOST_PIXELS));
    *work = decoder;
    return STATUS_OK;
}

static void end(void *work) {
    picture_decoder_release(work);
}

static enum status make(const void *source, void *work, const struct picture_view *view,
                        uint8_t *picture, int *label) {
    const struct synthetic_pictures *pictures = source;
    const struct picture_key key = {view->seed, view->epoch, (uint32_t)view->image};
    *label = 0;
    return picture_make(work, &pictures->recipe, &key, "a synthetic picture",
                        pictures->files[view->image], pictures->sizes[view->image], picture);
}

struct picture_feed synthetic_feed(const struct synthetic_pictures *pictures) {
    const struct picture_recipe *recipe = &pictures->recipe;
    return (struct picture_feed){.picture_bytes = (size_t)recipe->height * (size_t)recipe->width *
                                                  (size_t)recipe->channels,
                                 .source = pictures,
                                 .begin = begin,
                                 .end = end,
                                 .make = make};
}
