#include "data/dataset.h"
#include "data/idx.h"

#include <stdlib.h>
#include <string.h>

/* Adding a source: a file with a load function, and a row here. */
static const struct {
    const char *name;
    enum status (*load)(struct pictures *pictures, const struct data_config *config,
                        enum data_part part);
} sources[] = {{"idx", idx_load}};

int pictures_beyond(const struct pictures *pictures, int classes) {
    for (int image = 0; image < pictures->count; image++)
        if (pictures->labels[image] >= classes)
            return image;
    return -1;
}

static enum status check_labels(struct pictures *pictures, const struct data_config *config) {
    int largest = 0, beyond = config->classes > 0 ? pictures_beyond(pictures, config->classes) : -1;
    if (beyond >= 0)
        return fail(STATUS_USAGE, "%s: image %d has label %d, but data.classes is %d",
                    pictures->labels_file, beyond, pictures->labels[beyond], config->classes);
    for (int image = 0; image < pictures->count; image++)
        largest = pictures->labels[image] > largest ? pictures->labels[image] : largest;
    pictures->classes = config->classes > 0 ? config->classes : largest + 1;
    return STATUS_OK;
}

/* Its row; -1: the source's pictures are not in memory. */
static int find_source(const struct data_config *config) {
    for (int i = 0; i < (int)(sizeof sources / sizeof *sources); i++)
        if (strcmp(sources[i].name, config->source) == 0)
            return i;
    return -1;
}

static enum status load(struct pictures *pictures, const struct data_config *config,
                        enum data_part part) {
    int source = find_source(config);
    if (source < 0)
        return fail(STATUS_USAGE, "data.source \"%s\" is none of pictures in memory, as \"idx\" is",
                    config->source);
    TRY(sources[source].load(pictures, config, part));
    TRY(check_labels(pictures, config));
    if (part == DATA_TEST && config->test_images > pictures->count)
        return fail(STATUS_USAGE, "data.test_images is %d, but %s has only %d test images",
                    config->test_images, config->folder, pictures->count);
    if (part == DATA_TEST && config->test_images > 0)
        pictures->count = config->test_images;
    return STATUS_OK;
}

enum status pictures_load(struct pictures *pictures, const struct data_config *config,
                          enum data_part part) {
    *pictures = (struct pictures){0};
    enum status status = load(pictures, config, part);
    if (status != STATUS_OK)
        pictures_release(pictures);
    return status;
}

bool data_in_memory(const struct data_config *config) {
    return find_source(config) >= 0;
}

void pictures_release(struct pictures *pictures) {
    free(pictures->pixels);
    free(pictures->labels);
    *pictures = (struct pictures){0};
}
