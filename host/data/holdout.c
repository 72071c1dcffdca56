#include "data/holdout.h"
#include "support/file.h"

static int label_of(const void *source, int picture) {
    return picture_source_label(source, picture);
}

enum status holdout_split(struct split *split, const struct picture_source *source,
                          const struct data_config *config, uint64_t seed) {
    return split_by_label(split, label_of, source, picture_source_count(source),
                          picture_source_classes(source), config, seed);
}

struct listing {
    const struct picture_source *source;
    const struct split *split;
};

static void print_names(const void *context, FILE *file) {
    const struct listing *listing = context;
    char name[PICTURE_NAME];
    for (int i = 0; i < listing->split->holdout_count; i++)
        fprintf(file, "%s\n",
                picture_source_name(listing->source, listing->split->holdout[i], name));
}

enum status holdout_write(const char *path, const struct picture_source *source,
                          const struct split *split) {
    const struct listing listing = {source, split};
    return file_replace_text(path, print_names, &listing);
}
