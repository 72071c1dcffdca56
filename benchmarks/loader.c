/* How fast JPEG pictures become training pictures of 224x224, beside their decoding alone.
 *
 *   bench_loader FOLDER [THREADS=1] [ROUNDS=9]
 *
 * FOLDER/CLASS/NAME.jpg, as make_loader_pictures.py makes them; all are in memory before the clock
 * starts. In turns, every round the same random crops: plain libjpeg-turbo decodes just what the
 * crop needs, shrunk as much as ours; then picture_make() does header, crop, decoding, resizing and
 * flip. Each thread has its own decoder and every THREADS-th picture. Prints a JSON row with the
 * medians over rounds, and of the share within a round; shares are of the time that a core works,
 * so that other programs on the machine count little. */
#include "data/crop.h"
#include "data/picture_decoder.h"
#include "support/file.h"
#include "support/memory.h"

#include <glob.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jpeglib.h>

enum { SIDE = 224, MOST_THREADS = 256, MOST_ROUNDS = 99 };

static const struct picture_recipe recipe = {.height = SIDE,
                                             .width = SIDE,
                                             .channels = 3,
                                             .centre = 0.875,
                                             .scale = {0.08, 1},
                                             .ratio = {3.0 / 4, 4.0 / 3},
                                             .flip = true,
                                             .shrink = 8};

struct file {
    char *data;
    size_t size;
    /* what the round's crop needs: of the picture shrunk by `shrink` */
    unsigned shrink, top, left, height, width;
};

struct files {
    int count;
    struct file *file;
    char **names;
};

struct worker {
    const struct files *files;
    int first, step, round;
    struct picture_decoder *decoder;
    uint8_t *memory; /* of the largest picture whole */
    enum status status;
    char failure[400];
    pthread_t thread;
};

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum status read_files(struct files *files, glob_t *found, const char *folder) {
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/*/*.jpg", folder);
    if (glob(pattern, 0, NULL, found) != 0)
        return fail(STATUS_USAGE, "there are no pictures %s", pattern);
    files->names = found->gl_pathv;
    TRY(allocate(&files->file, found->gl_pathc, sizeof *files->file, "the list of pictures"));
    for (; files->count < (int)found->gl_pathc; files->count++)
        TRY(file_read(files->names[files->count], 1 << 28, &files->file[files->count].data,
                      &files->file[files->count].size));
    return STATUS_OK;
}

static struct picture_key key_of(const struct worker *worker, int image) {
    return (struct picture_key){1, (uint64_t)worker->round, (uint32_t)image};
}

/* ------------------------------------------------------------- decoding by the library alone */

/* What ours decodes in this round, for the library to do the same. */
static enum status find_region(struct worker *worker, int image) {
    struct file *file = &worker->files->file[image];
    struct picture_size picture;
    struct picture_window window;
    struct picture_key key = key_of(worker, image);
    struct random_sequence sequence =
        random_sequence(key.seed, RANDOM_AUGMENT, key.epoch, key.image);
    TRY(picture_open(worker->decoder, worker->files->names[image], (uint8_t *)file->data,
                     file->size, &picture));
    struct picture_box box = crop_random(&recipe, &picture, &sequence);
    TRY(picture_read(worker->decoder, &box, SIDE, SIDE, recipe.shrink, &window));
    file->shrink = (unsigned)lround(box.height / window.box.height);
    file->top = (unsigned)lround(box.top / file->shrink - window.box.top);
    file->left = (unsigned)lround(box.left / file->shrink - window.box.left);
    file->height = (unsigned)window.height;
    file->width = (unsigned)window.width;
    return STATUS_OK;
}

static enum status decode_alone(struct worker *worker, int image) {
    const struct file *file = &worker->files->file[image];
    static __thread struct jpeg_decompress_struct library;
    static __thread struct jpeg_error_mgr errors; /* whose errors end the program */
    if (library.err == NULL) {
        library.err = jpeg_std_error(&errors);
        jpeg_create_decompress(&library);
    }
    jpeg_mem_src(&library, (const unsigned char *)file->data, file->size);
    jpeg_read_header(&library, TRUE);
    library.scale_num = 1;
    library.scale_denom = file->shrink;
    library.out_color_space = JCS_RGB;
    jpeg_start_decompress(&library);
    JDIMENSION left = file->left, width = file->width;
    if (width < library.output_width)
        jpeg_crop_scanline(&library, &left, &width);
    if (file->top > 0)
        jpeg_skip_scanlines(&library, file->top);
    for (unsigned y = 0; y < file->height; y++) {
        JSAMPROW row = worker->memory + (size_t)y * file->width * 3;
        jpeg_read_scanlines(&library, &row, 1);
    }
    jpeg_abort_decompress(&library);
    return STATUS_OK;
}

/* ------------------------------------------------------------------------------------- ours */

static enum status make(struct worker *worker, int image) {
    const struct file *file = &worker->files->file[image];
    struct picture_key key = key_of(worker, image);
    return picture_make(worker->decoder, &recipe, &key, worker->files->names[image],
                        (uint8_t *)file->data, file->size, worker->memory);
}

static enum status (*job)(struct worker *, int); /* what all threads do now */

static void *work(void *argument) {
    struct worker *worker = argument;
    worker->status = STATUS_OK;
    for (int i = worker->first; i < worker->files->count && worker->status == STATUS_OK;
         i += worker->step)
        worker->status = job(worker, i);
    snprintf(worker->failure, sizeof worker->failure, "%s", failure());
    return NULL;
}

struct speed {
    double wall, core; /* pictures a second, and a second of a core */
};

static enum status time_job(struct worker *workers, int threads, int round,
                            enum status (*what)(struct worker *, int), struct speed *speed) {
    double start = seconds(CLOCK_MONOTONIC), core = seconds(CLOCK_PROCESS_CPUTIME_ID);
    job = what;
    for (int i = 0; i < threads; i++) {
        workers[i].round = round;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return fail(STATUS_FAILED, "cannot start a thread");
    }
    for (int i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    speed->wall = workers[0].files->count / (seconds(CLOCK_MONOTONIC) - start);
    speed->core = workers[0].files->count / (seconds(CLOCK_PROCESS_CPUTIME_ID) - core);
    for (int i = 0; i < threads; i++)
        if (workers[i].status != STATUS_OK)
            return fail(workers[i].status, "%s", workers[i].failure);
    return STATUS_OK;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int step, int count) {
    double sorted[MOST_ROUNDS];
    for (int i = 0; i < count; i++)
        sorted[i] = values[i * step];
    qsort(sorted, (size_t)count, sizeof *sorted, by_value);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static enum status measure(struct worker *workers, int threads, int rounds, const char *folder) {
    struct speed alone[MOST_ROUNDS], ours[MOST_ROUNDS], unused;
    double share[MOST_ROUNDS], bytes = 0;
    for (int round = 0; round < rounds; round++) {
        TRY(time_job(workers, threads, round, find_region, &unused)); /* warms up, too */
        for (int turn = 0; turn < 2; turn++)
            TRY(turn == round % 2 ? time_job(workers, threads, round, decode_alone, &alone[round])
                                  : time_job(workers, threads, round, make, &ours[round]));
        share[round] = ours[round].core / alone[round].core;
    }
    const struct files *files = workers[0].files;
    for (int i = 0; i < files->count; i++)
        bytes += (double)files->file[i].size / files->count;
    printf("{\"what\": \"random resized crops of JPEG pictures to %dx%d\", \"folder\": \"%s\", "
           "\"pictures\": %d, \"bytes\": %.0f, \"threads\": %d, \"rounds\": %d, "
           "\"images_per_second\": %.0f, \"images_per_core_second\": %.0f, "
           "\"library_alone_images_per_core_second\": %.0f, \"share_of_library_alone\": %.3f}\n",
           SIDE, SIDE, folder, files->count, bytes, threads, rounds,
           median(&ours[0].wall, 2, rounds), median(&ours[0].core, 2, rounds),
           median(&alone[0].core, 2, rounds), median(share, 1, rounds));
    return STATUS_OK;
}

static enum status run(const char *folder, int threads, int rounds) {
    static struct worker workers[MOST_THREADS];
    struct files files = {0};
    glob_t found = {0};
    TRY(read_files(&files, &found, folder));
    for (int i = 0; i < threads; i++) {
        workers[i] = (struct worker){.files = &files, .first = i, .step = threads};
        TRY(picture_decoder_create(&workers[i].decoder, 1 << 22));
        TRY(allocate(&workers[i].memory, 3 << 22, 1, "a picture"));
    }
    TRY(measure(workers, threads, rounds, folder));
    for (int i = 0; i < threads; i++) {
        picture_decoder_release(workers[i].decoder);
        free(workers[i].memory);
    }
    for (int i = 0; i < files.count; i++)
        free(files.file[i].data);
    free(files.file);
    globfree(&found);
    return STATUS_OK;
}

int main(int argc, char **argv) {
    int threads = argc > 2 ? atoi(argv[2]) : 1, rounds = argc > 3 ? atoi(argv[3]) : 9;
    if (argc < 2 || threads < 1 || threads > MOST_THREADS || rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: bench_loader FOLDER [THREADS=1] [ROUNDS=9]\n");
        return STATUS_USAGE;
    }
    enum status status = run(argv[1], threads, rounds);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
