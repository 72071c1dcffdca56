#include "training/picture_sets.h"
#include "data/holdout.h"
#include "support/memory.h"
#include "support/random.h"

#include <stdlib.h>
#include <string.h>

enum { CALIBRATION, SCORED };

static enum status check_pictures(const struct config *config, const struct pictures *pictures) {
    const struct network *network = &config->network;
    if (pictures->height != network->height || pictures->width != network->width ||
        pictures->channels != network->channels)
        return fail(STATUS_USAGE,
                    "the network reads pictures of %dx%d with %d channels, but those of %s are "
                    "%dx%d with %d",
                    network->height, network->width, network->channels, config->data.folder,
                    pictures->height, pictures->width, pictures->channels);
    int beyond = pictures_beyond(pictures, network->classes);
    if (beyond >= 0)
        return fail(STATUS_USAGE, "%s: image %d has label %d, but network.classes is %d",
                    pictures->labels_file, beyond, pictures->labels[beyond], network->classes);
    return STATUS_OK;
}

static enum status check_source(const struct config *config, const struct picture_source *source) {
    int classes = picture_source_classes(source);
    if (classes > config->network.classes)
        return fail(STATUS_USAGE, "%s has %d classes, but network.classes is %d",
                    config->data.folder, classes, config->network.classes);
    return STATUS_OK;
}

struct picture_recipe picture_sets_recipe(const struct config *config, struct resolution size) {
    const struct data_config *data = &config->data;
    struct picture_recipe recipe = {.height = size.height,
                                    .width = size.width,
                                    .channels = config->network.channels,
                                    .centre = data_in_memory(&config->data) ? 0 : data->centre,
                                    .scale = {data->smallest_crop, 1},
                                    .ratio = {1 / data->crop_ratio, data->crop_ratio},
                                    .flip = data->flip,
                                    .shrink = data->shrink};
    memcpy(recipe.jitter, data->jitter, sizeof recipe.jitter);
    return recipe;
}

int picture_sets_decoders(const struct config *config, const struct pool *pool) {
    if (config->data.decoders > 0)
        return config->data.decoders;
    return pool == NULL ? 1 : pool_threads(pool);
}

/* Opens a part; what could not be taken up is among its bad pictures. */
static enum status open_source(struct picture_source **source, struct bad_pictures **bad,
                               const struct config *config, enum data_part part,
                               struct pool *pool) {
    TRY(bad_pictures_create(bad, config->data.max_bad_images));
    TRY(picture_source_open(source, &config->data, part, pool));
    TRY(check_source(config, *source));
    return bad_pictures_join(*bad, picture_source_faults(*source));
}

/* Numbers in the order of a draw, and how many of them a set takes; 0 wanted: all. `stream` keeps
 * the draws apart. */
static enum status draw(struct picture_sets *sets, const struct config *config, int stream,
                        int wanted) {
    const struct split *split = &sets->split;
    const int *from = stream == CALIBRATION ? split->train : split->holdout;
    int available = stream == CALIBRATION ? split->train_count : split->holdout_count;
    struct random_sequence sequence =
        random_sequence(config->seed, RANDOM_CALIBRATION, (uint64_t)stream, 0);
    TRY(allocate(&sets->drawn[stream], (size_t)available, sizeof(int), "drawn images"));
    memcpy(sets->drawn[stream], from, (size_t)available * sizeof(int));
    random_shuffle(&sequence, sets->drawn[stream], available);
    sets->drawn_count[stream] = wanted > 0 && wanted < available ? wanted : available;
    return STATUS_OK;
}

static enum status draw_sets(struct picture_sets *sets, const struct config *config) {
    TRY(draw(sets, config, CALIBRATION, config->search.calibration_images));
    return draw(sets, config, SCORED, config->search.holdout_images);
}

static struct image_set set_in_memory(const struct picture_sets *sets, int stream) {
    return (struct image_set){.pictures = &sets->pictures,
                              .indices = sets->drawn[stream],
                              .count = sets->drawn_count[stream]};
}

static enum status open_in_memory(struct picture_sets *sets, const struct config *config) {
    TRY(pictures_load(&sets->pictures, &config->data, DATA_TRAIN));
    TRY(check_pictures(config, &sets->pictures));
    TRY(split_make(&sets->split, &sets->pictures, &config->data, config->seed));
    sets->augmented =
        (struct augmented_pictures){&sets->pictures, config->data.crop_padding, config->data.flip};
    sets->feeds[0] = augmented_feed(&sets->augmented);
    sets->threads = 1;
    TRY(draw_sets(sets, config));
    sets->calibration[0] = set_in_memory(sets, CALIBRATION);
    sets->scored[0] = set_in_memory(sets, SCORED);
    return STATUS_OK;
}

static enum status decode_set(struct picture_sets *sets, int stream, int resolution,
                              struct pool *pool, struct image_set *set) {
    struct pictures *decoded = &sets->decoded[stream][resolution];
    TRY(encoded_decode(decoded, &sets->encoded[resolution], sets->drawn[stream],
                       sets->drawn_count[stream], pool));
    *set = (struct image_set){.pictures = decoded, .count = decoded->count};
    return STATUS_OK;
}

enum status picture_sets_decode(struct picture_sets *sets, int resolution, struct pool *pool) {
    if (sets->source == NULL || sets->calibration[resolution].count > 0)
        return STATUS_OK;
    TRY(decode_set(sets, CALIBRATION, resolution, pool, &sets->calibration[resolution]));
    return decode_set(sets, SCORED, resolution, pool, &sets->scored[resolution]);
}

static enum status open_files(struct picture_sets *sets, const struct config *config,
                              struct pool *pool) {
    TRY(open_source(&sets->source, &sets->bad, config, DATA_TRAIN, pool));
    TRY(holdout_split(&sets->split, sets->source, &config->data, config->seed));
    for (int i = 0; i < network_resolutions(&config->network); i++) {
        struct picture_recipe recipe =
            picture_sets_recipe(config, network_resolution(&config->network, i));
        sets->encoded[i] = (struct encoded_pictures){.source = sets->source,
                                                     .recipe = recipe,
                                                     .bad = sets->bad,
                                                     .stand_ins = sets->split.train,
                                                     .stand_in_count = sets->split.train_count};
        sets->feeds[i] = encoded_feed(&sets->encoded[i]);
    }
    sets->threads = picture_sets_decoders(config, pool);
    return draw_sets(sets, config);
}

enum status picture_sets_open(struct picture_sets *sets, const struct config *config,
                              struct pool *pool) {
    return data_in_memory(&config->data) ? open_in_memory(sets, config)
                                         : open_files(sets, config, pool);
}

void picture_sets_release(struct picture_sets *sets) {
    for (int i = 0; i < 2; i++) {
        free(sets->drawn[i]);
        for (int resolution = 0; resolution < MAX_RESOLUTIONS; resolution++)
            pictures_release(&sets->decoded[i][resolution]);
    }
    split_release(&sets->split);
    pictures_release(&sets->pictures);
    picture_source_close(sets->source);
    bad_pictures_release(sets->bad);
    *sets = (struct picture_sets){0};
}

enum status picture_sets_open_test(struct picture_source **source, struct bad_pictures **bad,
                                   const struct config *config, struct pool *pool) {
    *source = NULL;
    *bad = NULL;
    TRY(open_source(source, bad, config, DATA_TEST, pool));
    if (config->data.test_images > picture_source_count(*source))
        return fail(STATUS_USAGE, "data.test_images is %d, but %s has only %d test images",
                    config->data.test_images, config->data.folder, picture_source_count(*source));
    return STATUS_OK;
}

static enum status decode_test(struct pictures *pictures, const struct picture_source *source,
                               struct bad_pictures *bad, const struct config *config,
                               struct resolution size, struct pool *pool) {
    const struct encoded_pictures encoded = {
        .source = source, .recipe = picture_sets_recipe(config, size), .bad = bad};
    int count = config->data.test_images, *numbers;
    if (count == 0)
        count = picture_source_count(source);
    TRY(allocate(&numbers, (size_t)count, sizeof *numbers, "test images"));
    for (int i = 0; i < count; i++)
        numbers[i] = i;
    enum status status = encoded_decode(pictures, &encoded, numbers, count, pool);
    free(numbers);
    return status;
}

enum status picture_sets_test(struct pictures *pictures, const struct picture_source *source,
                              struct bad_pictures *bad, const struct config *config,
                              struct resolution size, struct pool *pool) {
    *pictures = (struct pictures){0};
    if (source != NULL)
        return decode_test(pictures, source, bad, config, size, pool);
    TRY(pictures_load(pictures, &config->data, DATA_TEST));
    return check_pictures(config, pictures);
}
