/* taper predict: what the trained network of a run says of pictures. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/steps.h"
#include "data/class_names.h"
#include "data/picture_file.h"
#include "support/memory.h"
#include "training/picture_sets.h"
#include "training/predictions.h"
#include "training/trained.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The pictures of one argument. */
struct part {
    struct picture_origin origin;
    struct pictures pictures;
};

static enum status load_parts(struct part *parts, const struct options *options,
                              const struct config *config, const struct network *network) {
    const struct picture_recipe recipe =
        picture_sets_recipe(config, network_resolution(network, 0));
    for (int i = 0; i < options->picture_count; i++)
        TRY(picture_file_load(&parts[i].pictures, &parts[i].origin, options->pictures[i], &recipe));
    return STATUS_OK;
}

/* All pictures in one piece, so that batches are full. */
static enum status join(const struct part *parts, int count, struct pictures *all) {
    *all = parts[0].pictures;
    size_t bytes = (size_t)all->height * all->width * all->channels, images = 0, done = 0;
    all->pixels = NULL;
    for (int i = 0; i < count; i++)
        images += (size_t)parts[i].pictures.count;
    if (images > INT_MAX)
        return fail(STATUS_USAGE, "%zu pictures are more than %d", images, INT_MAX);
    all->count = (int)images;
    TRY(allocate(&all->pixels, images, bytes, "pictures"));
    for (int i = 0; i < count; i++) {
        size_t size = (size_t)parts[i].pictures.count * bytes;
        memcpy(all->pixels + done, parts[i].pictures.pixels, size);
        done += size;
    }
    return STATUS_OK;
}

/* Where a picture is from, as it may be given again. */
static void print_name(const struct picture_origin *origin, int image) {
    printf("%s", origin->path);
    if (origin->first >= 0)
        printf(":%d", origin->first + image);
}

enum { SHOWN = 3 };

/* "Sneaker 98.3 %, Sandal 1.2 %, Bag 0.1 %" */
static void print_likeliest(const struct class_names *names, double *probabilities, int classes) {
    char name[MAX_CLASS_NAME];
    for (int n = 0; n < SHOWN && n < classes; n++) {
        int best = 0;
        for (int c = 1; c < classes; c++)
            if (probabilities[c] > probabilities[best])
                best = c;
        printf("%s %s %.1f %%", n ? "," : ":", class_name(names, best, name),
               100 * probabilities[best]);
        probabilities[best] = -1; /* said */
    }
    putchar('\n');
}

static enum status print_json(const struct picture_origin *origin, int image,
                              const struct class_names *names, const double *probabilities,
                              int classes, int best) {
    char name[MAX_CLASS_NAME];
    json_t *list = json_array();
    for (int c = 0; c < classes; c++)
        json_array_append_new(list, json_real(probabilities[c]));
    json_t *index = origin->first < 0 ? json_null() : json_integer(origin->first + image);
    json_t *object = json_pack("{s:s, s:o, s:i, s:s, s:f, s:o}", "path", origin->path, "index",
                               index, "label", best, "class", class_name(names, best, name),
                               "probability", probabilities[best], "probabilities", list);
    int error = object ? json_dumpf(object, stdout, JSON_REAL_PRECISION(9)) : -1;
    json_decref(object);
    if (error != 0)
        return fail(STATUS_FAILED, "cannot write what %s shows: no memory, not UTF-8, or no space",
                    origin->path);
    putchar('\n');
    return STATUS_OK;
}

static enum status print_picture(const struct picture_origin *origin, int image,
                                 const struct class_names *names, double *probabilities,
                                 int classes, bool json) {
    int best = 0;
    for (int c = 0; c < classes; c++) {
        if (!isfinite(probabilities[c]))
            return fail(STATUS_FAILED, "%s has logits that are not finite: the network is broken",
                        origin->path);
        if (probabilities[c] > probabilities[best])
            best = c;
    }
    if (json)
        return print_json(origin, image, names, probabilities, classes, best);
    print_name(origin, image);
    print_likeliest(names, probabilities, classes);
    return STATUS_OK;
}

static enum status print_all(const struct part *parts, const struct class_names *names,
                             const struct options *options, const real *logits, int classes) {
    double *probabilities;
    enum status status = STATUS_OK;
    TRY(allocate(&probabilities, (size_t)classes, sizeof *probabilities, "probabilities"));
    for (int i = 0; i < options->picture_count; i++) {
        for (int image = 0; image < parts[i].pictures.count; image++, logits += classes) {
            probabilities_of(logits, classes, probabilities);
            TRY_CLEANUP(print_picture(&parts[i].origin, image, names, probabilities, classes,
                                      options->json));
        }
    }
    if (fflush(stdout) != 0)
        status = fail(STATUS_FAILED, "cannot write to the standard output");
done:
    free(probabilities);
    return status;
}

/* Everything is read before anything is printed. */
static enum status answer(struct trained *trained, const struct config *config,
                          const struct options *options) {
    struct part *parts;
    struct pictures all = {0};
    struct class_list list = {0};
    const struct class_names names = {&config->data, &list};
    real *logits = NULL;
    int classes = trained->network.classes;
    enum status status;
    TRY(allocate(&parts, (size_t)options->picture_count, sizeof *parts, "the list of pictures"));
    TRY_CLEANUP(class_names_read(&list, &config->data, config->out));
    TRY_CLEANUP(load_parts(parts, options, config, &trained->network));
    TRY_CLEANUP(join(parts, options->picture_count, &all));
    TRY_CLEANUP(allocate(&logits, (size_t)all.count * (size_t)classes + READ_SLACK, sizeof *logits,
                         "logits"));
    TRY_CLEANUP(trained_predict(trained, &all, logits));
    TRY_CLEANUP(print_all(parts, &names, options, logits, classes));
done:
    for (int i = 0; i < options->picture_count; i++)
        pictures_release(&parts[i].pictures);
    free(parts);
    free(logits);
    pictures_release(&all);
    class_list_release(&list);
    return status;
}

/* The folder is only read: no lock, no log. */
static enum status predict(const struct config *config, const struct options *options) {
    char name[32], reason[BACKEND_REASON];
    struct pool *pool = NULL;
    struct trained trained = {0};
    const struct ops *ops;
    enum status status;
    TRY_CLEANUP(pool_create(&pool, run_threads(config)));
    TRY_CLEANUP(backend_choose(config->device, config->backend, config->precision, &ops, reason));
    TRY_CLEANUP(trained_open(&trained, config, steps_name(options, name), ops, pool));
    TRY_CLEANUP(answer(&trained, config, options));
done:
    trained_close(&trained);
    pool_release(pool);
    return status;
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct config config;
    TRY(options_parse(&options, OPTIONS_PREDICT, command_predict.summary, argc, argv));
    if (options.picture_count == 0)
        return fail(STATUS_USAGE, "no picture is named: taper predict FOLDER PICTURE...");
    TRY(options_read_config(&options, &config));
    enum status status = predict(&config, &options);
    config_release(&config);
    return status;
}

const struct command command_predict = {
    "predict", "Labels and probabilities of pictures: JPEG, PNG, PGM, PPM, IDX.gz:NUMBER", execute};
