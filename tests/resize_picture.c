/* For check_photographs.py: decodes a box of a picture and resizes it.
 *
 *   resize_picture FILE TOP LEFT HEIGHT WIDTH OUT_HEIGHT OUT_WIDTH SHRINK >RGB
 */
#include "data/picture_decoder.h"
#include "data/resample.h"
#include "support/file.h"

#include <stdio.h>
#include <stdlib.h>

static enum status resize(struct picture_decoder *decoder, const char *path,
                          const struct picture_box *box, int height, int width, int shrink,
                          uint8_t *out) {
    struct picture_size picture;
    struct picture_window window;
    struct resampler resampler = {0};
    char *data;
    size_t size;
    TRY(file_read(path, 1 << 28, &data, &size));
    enum status status = picture_open(decoder, path, (uint8_t *)data, size, &picture);
    if (status == STATUS_OK)
        status = picture_read(decoder, box, height, width, shrink, &window);
    if (status == STATUS_OK)
        status = resample(&resampler, &window, height, width, false, out);
    resampler_release(&resampler);
    free(data);
    return status;
}

int main(int argc, char **argv) {
    struct picture_decoder *decoder;
    if (argc != 9) {
        fprintf(stderr, "usage: resize_picture FILE TOP LEFT HEIGHT WIDTH OUT_HEIGHT OUT_WIDTH "
                        "SHRINK\n");
        return STATUS_USAGE;
    }
    const struct picture_box box = {atof(argv[2]), atof(argv[3]), atof(argv[4]), atof(argv[5])};
    int height = atoi(argv[6]), width = atoi(argv[7]);
    size_t bytes = (size_t)height * (size_t)width * 3;
    uint8_t *out = malloc(bytes);
    enum status status = picture_decoder_create(&decoder, (size_t)1 << 28);
    if (status == STATUS_OK)
        status = resize(decoder, argv[1], &box, height, width, atoi(argv[8]), out);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    else if (fwrite(out, bytes, 1, stdout) != 1)
        status = STATUS_FAILED;
    picture_decoder_release(decoder);
    free(out);
    return status;
}
