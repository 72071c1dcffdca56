#include "data/dataset.h"
#include "data/idx.h"

#include <stdlib.h>
#include <string.h>

/* Adding a source: a file with a load function, and a row here. */
static const struct {
    const char *name;
    enum status (*load)(struct pictures *, const struct data_config *, enum data_part);
} sources[] = {{"idx", idx_load}};

enum status pictures_load(struct pictures *pictures, const struct data_config *config,
                          enum data_part part) {
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (strcmp(config->source, sources[i].name) == 0) {
            TRY(sources[i].load(pictures, config, part));
            if (part == DATA_TEST && config->test_images > 0 &&
                config->test_images < pictures->count)
                pictures->count = config->test_images;
            return STATUS_OK;
        }
    return fail(STATUS_USAGE, "data.source \"%s\" is not a source that taper reads; take \"idx\"",
                config->source);
}

void pictures_release(struct pictures *pictures) {
    free(pictures->pixels);
    free(pictures->labels);
    *pictures = (struct pictures){0};
}
