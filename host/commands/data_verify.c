/* taper data verify: every picture is read and decoded; all that fail are named. */
#include "commands/data.h"
#include "data/bad_pictures.h"
#include "data/encoded_picture.h"
#include "report/format.h"
#include "support/interrupt.h"
#include "support/memory.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct side_range {
    int least, most;
};

/* What one thread sees. */
struct verifier {
    struct picture_decoder *decoder;
    struct picture_bytes bytes;
    struct side_range height, width;
};

struct verification {
    const struct picture_source *source;
    struct bad_pictures *bad;
    struct verifier *verifiers; /* [threads] */
    atomic_int *good;           /* [classes] */
    atomic_int done;
    pthread_mutex_t lock; /* of the meter */
    struct data_meter meter;
};

static void widen(struct side_range *range, int least, int most) {
    range->least = least < range->least ? least : range->least;
    range->most = most > range->most ? most : range->most;
}

static enum status verify_picture(const struct verification *all, struct verifier *verifier,
                                  int picture) {
    char name[PICTURE_NAME];
    int height, width;
    TRY(picture_source_read(all->source, picture, &verifier->bytes));
    TRY(picture_check(verifier->decoder, verifier->bytes.data, verifier->bytes.size,
                      picture_source_name(all->source, picture, name), &height, &width));
    widen(&verifier->height, height, height);
    widen(&verifier->width, width, width);
    return STATUS_OK;
}

static void verify_piece(void *context, int picture, int worker) {
    struct verification *all = context;
    if (interrupt_requested())
        return;
    if (verify_picture(all, &all->verifiers[worker], picture) == STATUS_OK)
        atomic_fetch_add(&all->good[picture_source_label(all->source, picture)], 1);
    else
        bad_pictures_add(all->bad); /* no limit: it does not fail */
    int done = atomic_fetch_add(&all->done, 1) + 1;
    if (pthread_mutex_trylock(&all->lock) == 0) {
        data_meter_show(&all->meter, done, picture_source_count(all->source));
        pthread_mutex_unlock(&all->lock);
    }
}

/* Of each class with bad pictures a line, then all of them by name. */
static enum status print_bad(const struct verification *all, const struct data_work *work) {
    const struct class_names names = data_class_names(work);
    char name[MAX_CLASS_NAME];
    int *counts;
    TRY(data_count_classes(work, &counts));
    for (int label = 0; label < picture_source_classes(work->source); label++) {
        int bad = counts[label] - atomic_load(&all->good[label]);
        if (bad > 0)
            printf("%s: class %s: %d of %d pictures are bad\n", data_part_name(work->part),
                   class_name(&names, label, name), bad, counts[label]);
    }
    free(counts);
    data_print_sentences(stdout, "bad", bad_pictures_list(all->bad));
    return STATUS_OK;
}

static void print_good(const struct verification *all, const struct data_work *work) {
    char count[FORMAT_SIZE];
    int good = 0, classes = picture_source_classes(work->source);
    struct side_range height = {INT_MAX, 0}, width = {INT_MAX, 0};
    for (int label = 0; label < classes; label++)
        good += atomic_load(&all->good[label]);
    for (int i = 0; i < pool_threads(work->pool); i++) {
        widen(&height, all->verifiers[i].height.least, all->verifiers[i].height.most);
        widen(&width, all->verifiers[i].width.least, all->verifiers[i].width.most);
    }
    printf("%s: %s pictures of %d classes are right", data_part_name(work->part),
           format_count(count, good), classes);
    if (good > 0)
        printf(", %d to %d pixels high, %d to %d wide", height.least, height.most, width.least,
               width.most);
    putchar('\n');
}

static enum status finish(struct verification *all, const struct data_work *work, int *bad) {
    int pictures = picture_source_count(work->source);
    if (atomic_load(&all->done) < pictures)
        return fail(STATUS_INTERRUPTED, "%d of %d pictures were looked at", atomic_load(&all->done),
                    pictures);
    TRY(bad_pictures_join(all->bad, picture_source_faults(work->source)));
    print_good(all, work);
    *bad += bad_pictures_count(all->bad);
    return print_bad(all, work);
}

static enum status verify(struct data_work *work) {
    struct verification all = {.source = work->source, .lock = PTHREAD_MUTEX_INITIALIZER};
    int threads = pool_threads(work->pool);
    enum status status;
    TRY_CLEANUP(bad_pictures_create(&all.bad, -1));
    TRY_CLEANUP(allocate(&all.verifiers, (size_t)threads, sizeof *all.verifiers, "the threads"));
    TRY_CLEANUP(allocate(&all.good, (size_t)picture_source_classes(work->source), sizeof *all.good,
                         "the classes"));
    for (int i = 0; i < threads; i++) {
        all.verifiers[i].height = all.verifiers[i].width = (struct side_range){INT_MAX, 0};
        TRY_CLEANUP(picture_decoder_create(&all.verifiers[i].decoder, PICTURE_MOST_PIXELS));
    }
    data_meter_begin(&all.meter, "verified", 0);
    pool_run(work->pool, picture_source_count(work->source), verify_piece, &all);
    data_meter_end(&all.meter);
    status = finish(&all, work, &work->bad);
done:
    for (int i = 0; i < threads && all.verifiers != NULL; i++) {
        picture_decoder_release(all.verifiers[i].decoder);
        picture_bytes_release(&all.verifiers[i].bytes);
    }
    free(all.verifiers);
    free(all.good);
    bad_pictures_release(all.bad);
    return status;
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct data_work work;
    TRY(options_parse(&options, OPTIONS_DATA, data_verify.summary, argc, argv));
    TRY(data_work_open(&work, &options));
    enum status status = data_for_parts(&options, &work, verify);
    if (status == STATUS_OK && work.bad > 0)
        status = fail(STATUS_FAILED, "%d pictures are bad", work.bad);
    data_work_close(&work);
    return status;
}

const struct command data_verify = {
    "verify", "Reads and decodes every picture, and names all that fail (exit 1)", execute};
