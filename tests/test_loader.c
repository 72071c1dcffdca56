/* The loader: what a batch holds depends on seed and step alone, every image comes once per epoch,
 * and crops and flips are found again by trying all of them. All of it with one thread and with
 * several. */
#include "data/augment.h"
#include "data/loader.h"
#include "support/memory.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { HEIGHT = 6, WIDTH = 5, CHANNELS = 2, PICTURE = HEIGHT * WIDTH * CHANNELS };
enum { COUNT = 60, USED = 41, BATCH = 8, BATCHES = USED / BATCH, PADDING = 2 };

static uint8_t pixels[COUNT * PICTURE];
static uint16_t labels[COUNT];
static int indices[USED];
static const struct pictures pictures = {.count = COUNT,
                                         .height = HEIGHT,
                                         .width = WIDTH,
                                         .channels = CHANNELS,
                                         .classes = 10,
                                         .pixels = pixels,
                                         .labels = labels};

static int make_pictures(void **state) {
    (void)state;
    struct random_sequence sequence = random_sequence(1, RANDOM_SEARCH, 0, 0);
    for (int i = 0; i < COUNT * PICTURE; i++)
        pixels[i] = (uint8_t)(1 + random_below(&sequence, 255)); /* never 0, the padding's value */
    for (int image = 0; image < COUNT; image++)
        labels[image] = (uint16_t)(image % 10);
    for (int i = 0; i < USED; i++)
        indices[i] = COUNT - 1 - i;
    return 0;
}

static const struct augmented_pictures with_crops = {&pictures, PADDING, true};
static int threads;

static struct loader_options options_of(const struct augmented_pictures *from) {
    return (struct loader_options){.feed = augmented_feed(from),
                                   .indices = indices,
                                   .count = USED,
                                   .batch_images = BATCH,
                                   .threads = threads,
                                   .seed = 3};
}

static struct loader *loader_of(const struct loader_options *options) {
    struct loader *loader;
    assert_int_equal(loader_create(&loader, options), STATUS_OK);
    return loader;
}

static struct loader *augmented_loader(void) {
    struct loader_options options = options_of(&with_crops);
    return loader_of(&options);
}

struct copied_batch {
    uint8_t pictures[BATCH * PICTURE];
    int labels[BATCH];
};

static struct copied_batch copy_of(struct loader *loader, int64_t step) {
    struct loaded_batch batch;
    struct copied_batch copy;
    assert_int_equal(loader_batch(loader, step, &batch), STATUS_OK);
    memcpy(copy.pictures, batch.pictures, sizeof copy.pictures);
    memcpy(copy.labels, batch.labels, sizeof copy.labels);
    return copy;
}

static void assert_same(const struct copied_batch *a, const struct copied_batch *b) {
    assert_memory_equal(a->pictures, b->pictures, sizeof a->pictures);
    assert_memory_equal(a->labels, b->labels, sizeof a->labels);
}

static void sleep_milliseconds(long milliseconds) {
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* How a picture came about. */
struct origin {
    int image, down, right, mirrored;
};

static int came_from(const uint8_t *got, const struct origin *origin) {
    const uint8_t *picture = pixels + origin->image * PICTURE;
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            int from_y = y + origin->down;
            int from_x = (origin->mirrored ? WIDTH - 1 - x : x) + origin->right;
            int inside = from_y >= 0 && from_y < HEIGHT && from_x >= 0 && from_x < WIDTH;
            for (int channel = 0; channel < CHANNELS; channel++) {
                int expected = inside ? picture[(from_y * WIDTH + from_x) * CHANNELS + channel] : 0;
                if (got[(y * WIDTH + x) * CHANNELS + channel] != expected)
                    return 0;
            }
        }
    }
    return 1;
}

static struct origin origin_of(const uint8_t *got, int padding, int flip) {
    struct origin origin;
    for (origin.image = 0; origin.image < COUNT; origin.image++)
        for (origin.down = -padding; origin.down <= padding; origin.down++)
            for (origin.right = -padding; origin.right <= padding; origin.right++)
                for (origin.mirrored = 0; origin.mirrored <= flip; origin.mirrored++)
                    if (came_from(got, &origin))
                        return origin;
    fail_msg("a picture is no crop of any image");
    return origin;
}

static void every_image_comes_once_per_epoch(void **state) {
    (void)state;
    struct loader *loader = augmented_loader();
    assert_int_equal(loader_batches(loader), BATCHES);
    int first_image[20], left_out[COUNT] = {0};
    for (int epoch = 0; epoch < 20; epoch++) {
        int seen[COUNT] = {0};
        for (int b = 0; b < BATCHES; b++) {
            struct copied_batch batch = copy_of(loader, epoch * BATCHES + b);
            for (int i = 0; i < BATCH; i++) {
                struct origin origin = origin_of(batch.pictures + i * PICTURE, PADDING, 1);
                assert_int_equal(batch.labels[i], labels[origin.image]);
                assert_int_equal(seen[origin.image]++, 0);
                if (b == 0 && i == 0)
                    first_image[epoch] = origin.image;
            }
        }
        for (int image = 0; image < COUNT - USED; image++) /* not among the indices */
            assert_int_equal(seen[image], 0);
        for (int image = COUNT - USED; image < COUNT; image++)
            left_out[image] += !seen[image];
    }
    int total = 0, different = 0;
    for (int image = 0; image < COUNT; image++) {
        total += left_out[image];
        assert_true(left_out[image] < 10); /* not the same ones each time */
    }
    assert_int_equal(total, 20 * (USED - BATCHES * BATCH));
    for (int epoch = 1; epoch < 20; epoch++)
        different += first_image[epoch] != first_image[0];
    assert_true(different > 10);
    loader_release(loader);
}

static void crops_and_flips_are_even(void **state) {
    (void)state;
    enum { EPOCHS = 200, DRAWS = EPOCHS * BATCHES * BATCH, SHIFTS = 2 * PADDING + 1 };
    struct loader *loader = augmented_loader();
    int down[SHIFTS] = {0}, right[SHIFTS] = {0}, mirrored = 0;
    for (int64_t step = 0; step < EPOCHS * BATCHES; step++) {
        struct copied_batch batch = copy_of(loader, step);
        for (int i = 0; i < BATCH; i++) {
            struct origin origin = origin_of(batch.pictures + i * PICTURE, PADDING, 1);
            down[origin.down + PADDING]++;
            right[origin.right + PADDING]++;
            mirrored += origin.mirrored;
        }
    }
    /* Five standard deviations of the counts of 8000 draws: 179 and 224. */
    for (int i = 0; i < SHIFTS; i++) {
        assert_true(abs(down[i] - DRAWS / SHIFTS) < 179);
        assert_true(abs(right[i] - DRAWS / SHIFTS) < 179);
    }
    assert_true(abs(mirrored - DRAWS / 2) < 224);
    loader_release(loader);
}

static void without_augmentation_pictures_are_themselves(void **state) {
    (void)state;
    const struct augmented_pictures plain = {.pictures = &pictures};
    struct loader_options options = options_of(&plain);
    struct loader *loader = loader_of(&options);
    for (int64_t step = 0; step < 2 * BATCHES; step++) {
        struct copied_batch batch = copy_of(loader, step);
        for (int i = 0; i < BATCH; i++)
            origin_of(batch.pictures + i * PICTURE, 0, 0);
    }
    loader_release(loader);
}

/* Ranks that make a part each make the batch of one. */
static void parts_of_a_batch_are_the_batch(void **state) {
    (void)state;
    static const int ends[] = {0, 3, 4, BATCH};
    struct loader *whole = augmented_loader();
    for (int part = 0; part < 3; part++) {
        struct loader_options options = options_of(&with_crops);
        options.own_first = ends[part];
        options.own_images = ends[part + 1] - ends[part];
        struct loader *loader = loader_of(&options);
        assert_int_equal(loader_batches(loader), BATCHES);
        for (int64_t step = 0; step < 2 * BATCHES; step++) {
            struct copied_batch expected = copy_of(whole, step);
            struct loaded_batch batch;
            assert_int_equal(loader_batch(loader, step, &batch), STATUS_OK);
            assert_memory_equal(batch.pictures, expected.pictures + ends[part] * PICTURE,
                                (size_t)options.own_images * PICTURE);
            assert_memory_equal(batch.labels, expected.labels + ends[part],
                                (size_t)options.own_images * sizeof(int));
        }
        loader_release(loader);
    }
    loader_release(whole);
}

enum { SMALL = 3 * 2 * CHANNELS };
static atomic_int wrong_epochs; /* that threads of a loader met */

static const struct picture_feed *feed_by_step(const void *context, int64_t step, double epoch) {
    atomic_fetch_add(&wrong_epochs, epoch != (double)step / BATCHES);
    return (const struct picture_feed *)context + step % 3 / 2;
}

/* Two steps of every three see the pictures, the third smaller ones: each what a loader of that
 * size alone makes for the step. */
static void a_step_has_the_pictures_of_its_feed(void **state) {
    (void)state;
    static uint8_t small_pixels[COUNT * SMALL];
    for (int i = 0; i < COUNT * SMALL; i++)
        small_pixels[i] = pixels[COUNT * PICTURE - 1 - i];
    struct pictures small = pictures;
    small.height = 3;
    small.width = 2;
    small.pixels = small_pixels;
    const struct augmented_pictures small_crops = {&small, 1, true};
    const struct picture_feed feeds[] = {augmented_feed(&with_crops), augmented_feed(&small_crops)};
    struct loader_options options = options_of(&with_crops), small_options = options;
    struct loader *large_alone = loader_of(&options);
    small_options.feed = feeds[1];
    struct loader *small_alone = loader_of(&small_options);
    options.feed_of = feed_by_step;
    options.context = feeds;
    struct loader *both = loader_of(&options);
    for (int64_t ask = 0; ask < 8 * BATCHES; ask++) {
        int64_t step = ask < 4 * BATCHES ? ask : ask * 7 % (4 * BATCHES); /* in order first */
        bool is_small = step % 3 == 2;
        struct loaded_batch batch, alone;
        assert_int_equal(loader_batch(both, step, &batch), STATUS_OK);
        assert_int_equal(loader_batch(is_small ? small_alone : large_alone, step, &alone),
                         STATUS_OK);
        assert_memory_equal(batch.pictures, alone.pictures, BATCH * (is_small ? SMALL : PICTURE));
        assert_memory_equal(batch.labels, alone.labels, BATCH * sizeof(int));
    }
    assert_int_equal(atomic_load(&wrong_epochs), 0);
    loader_release(both);
    loader_release(small_alone);
    loader_release(large_alone);
}

/* Crops wider than the picture leave nothing of it, and nothing is read outside of it. */
static void padding_may_exceed_the_picture(void **state) {
    (void)state;
    const struct augmented_pictures wide = {&pictures, 20, true};
    struct loader_options options = options_of(&wide);
    struct loader *loader = loader_of(&options);
    int empty = 0;
    for (int64_t step = 0; step < 10 * BATCHES; step++) {
        struct copied_batch batch = copy_of(loader, step);
        for (int i = 0; i < BATCH; i++) {
            const uint8_t *picture = batch.pictures + i * PICTURE;
            int value = 0;
            for (int byte = 0; byte < PICTURE; byte++)
                value |= picture[byte];
            empty += value == 0;
        }
    }
    /* A picture is seen with probability (2 H - 1) / 41 * (2 W - 1) / 41 = 0.059. */
    assert_in_range(empty, 10 * BATCHES * BATCH * 85 / 100, 10 * BATCHES * BATCH * 99 / 100);
    loader_release(loader);
}

static void any_order_of_asking_gives_the_same_batches(void **state) {
    (void)state;
    enum { STEPS = 4 * BATCHES };
    static struct copied_batch in_order[STEPS];
    struct loader *loader = augmented_loader();
    for (int64_t step = 0; step < STEPS; step++)
        in_order[step] = copy_of(loader, step);
    struct random_sequence sequence = random_sequence(2, RANDOM_SEARCH, 0, 0);
    for (int ask = 0; ask < 500; ask++) {
        int64_t step = random_below(&sequence, STEPS);
        struct copied_batch batch = copy_of(loader, step);
        assert_same(&batch, &in_order[step]);
    }
    loader_release(loader);
    for (int64_t start = 0; start < STEPS; start++) { /* after a restart */
        loader = augmented_loader();
        for (int64_t step = start; step < STEPS && step < start + 3; step++) {
            struct copied_batch batch = copy_of(loader, step);
            assert_same(&batch, &in_order[step]);
        }
        loader_release(loader);
    }
    struct loader_options other = options_of(&with_crops);
    other.seed++;
    loader = loader_of(&other);
    struct copied_batch batch = copy_of(loader, 0);
    assert_memory_not_equal(batch.pictures, in_order[0].pictures, sizeof batch.pictures);
    loader_release(loader);
}

/* Order and augmentation are keyed by epoch and image, not by batch. */
static void batch_size_only_cuts_the_epoch(void **state) {
    (void)state;
    struct loader_options small = options_of(&with_crops);
    small.batch_images = 1;
    struct loader *large_loader = augmented_loader(), *small_loader = loader_of(&small);
    for (int epoch = 0; epoch < 2; epoch++) {
        for (int b = 0; b < BATCHES; b++) {
            struct copied_batch large = copy_of(large_loader, epoch * BATCHES + b);
            for (int i = 0; i < BATCH; i++) {
                struct loaded_batch one;
                assert_int_equal(loader_batch(small_loader, epoch * USED + b * BATCH + i, &one),
                                 STATUS_OK);
                assert_memory_equal(large.pictures + i * PICTURE, one.pictures, PICTURE);
                assert_int_equal(large.labels[i], one.labels[0]);
            }
        }
    }
    loader_release(large_loader);
    loader_release(small_loader);
}

static void a_batch_stays_until_the_next_is_asked(void **state) {
    (void)state;
    struct loader *loader = augmented_loader();
    const int64_t steps[] = {0, 1, 2, 3, 9, 8, 7, 12, 0};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct loaded_batch batch;
        struct copied_batch copy;
        assert_int_equal(loader_batch(loader, steps[i], &batch), STATUS_OK);
        memcpy(copy.pictures, batch.pictures, sizeof copy.pictures);
        sleep_milliseconds(5); /* the thread makes others meanwhile */
        assert_memory_equal(batch.pictures, copy.pictures, sizeof copy.pictures);
    }
    loader_release(loader);
}

/* Once in many tries, so that a busy machine cannot spoil it. */
static void next_batches_are_made_ahead(void **state) {
    (void)state;
    struct loader *loader = augmented_loader();
    struct loaded_batch batch;
    int without_waiting = 0;
    for (int try = 1; try < 50 && !without_waiting; try++) {
        assert_int_equal(loader_batch(loader, 10 * try, &batch), STATUS_OK);
        sleep_milliseconds(1 + try);
        double before = loader_waited(loader);
        assert_int_equal(loader_batch(loader, 10 * try + 1, &batch), STATUS_OK);
        assert_int_equal(loader_batch(loader, 10 * try + 2, &batch), STATUS_OK);
        without_waiting = loader_waited(loader) == before;
    }
    assert_true(without_waiting);
    assert_true(loader_waited(loader) > 0); /* nobody makes what a jump asks for ahead */
    loader_release(loader);
}

static void release_at_any_time(void **state) {
    (void)state;
    loader_release(NULL);
    for (int i = 0; i < 200; i++) {
        struct loader *loader = augmented_loader();
        struct loaded_batch batch;
        if (i % 4 > 0)
            assert_int_equal(loader_batch(loader, i, &batch), STATUS_OK);
        if (i % 4 == 2)
            nanosleep(&(struct timespec){.tv_nsec = i * 1000}, NULL);
        if (i % 4 == 3)
            assert_int_equal(loader_batch(loader, 3, &batch), STATUS_OK);
        loader_release(loader);
    }
}

static void errors_have_sentences(void **state) {
    (void)state;
    struct loader_options options = options_of(&with_crops);
    struct loader *loader;
    struct loaded_batch batch;
    options.batch_images = USED + 1;
    assert_int_equal(loader_create(&loader, &options), STATUS_USAGE);
    assert_null(loader);
    assert_string_equal(failure(), "a batch of 42 images cannot be made of 41 training images");
    failure_clear();
    options.batch_images = 0;
    assert_int_equal(loader_create(&loader, &options), STATUS_USAGE);
    failure_clear();
    options.batch_images = BATCH;
    for (int call = 1; call <= 15; call++) {
        allocate_fail_at(call);
        assert_int_equal(loader_create(&loader, &options), STATUS_FAILED);
        assert_null(loader);
        assert_non_null(strstr(failure(), "no memory"));
        failure_clear();
    }
    allocate_fail_at(0);
    options.batch_images = USED; /* one batch per epoch is fine */
    loader = loader_of(&options);
    assert_int_equal(loader_batches(loader), 1);
    assert_int_equal(loader_batch(loader, -1, &batch), STATUS_FAILED);
    failure_clear();
    loader_release(loader);
}

/* A feed whose threads have memory of their own, and which cannot make every seventh image. */
static atomic_int begun, ended;

static enum status begin_work(const void *source, void **work) {
    (void)source;
    begun++;
    return allocate(work, 1, 1, "work");
}

static void end_work(void *work) {
    ended += work != NULL;
    free(work);
}

static enum status make_some(const void *source, void *work, const struct picture_view *view,
                             uint8_t *picture, int *label) {
    (void)source;
    assert_non_null(work);
    *(char *)work = 1; /* the thread sanitizer would see two at once */
    *picture = (uint8_t)view->image;
    *label = view->image;
    return view->image % 7 == 0 ? (fail)(STATUS_USAGE, "image %d is bad", view->image) : STATUS_OK;
}

/* A batch with bad pictures names the first of them, whoever tried it, however often it is asked
 * for; the others are not touched by that. */
static void a_picture_that_fails_is_named(void **state) {
    (void)state;
    struct loader_options options = options_of(&with_crops);
    options.feed = (struct picture_feed){1, NULL, begin_work, end_work, make_some};
    options.batch_images = 3;
    begun = ended = 0;
    struct loader *loader = loader_of(&options);
    int bad = 0, good = 0;
    for (int64_t step = 0; step < 2 * (USED / 3); step++) {
        struct loaded_batch batch;
        char expected[64] = "";
        enum status status = loader_batch(loader, step, &batch);
        for (int i = 2; i >= 0; i--)
            if (batch.labels[i] % 7 == 0)
                snprintf(expected, sizeof expected, "image %d is bad", batch.labels[i]);
        assert_int_equal(status, expected[0] != '\0' ? STATUS_USAGE : STATUS_OK);
        assert_string_equal(failure(), expected);
        failure_clear();
        bad += status != STATUS_OK;
        good += status == STATUS_OK;
    }
    assert_true(bad > 5 && good > 5);
    loader_release(loader);
    assert_int_equal(begun, threads > 0 ? threads : 1);
    assert_int_equal(ended, begun);
}

static enum status make_slowly(const void *source, void *work, const struct picture_view *view,
                               uint8_t *picture, int *label) {
    (void)source;
    (void)work;
    nanosleep(&(struct timespec){.tv_nsec = 20000 + view->image * 2000}, NULL);
    picture[0] = (uint8_t)view->image;
    picture[1] = (uint8_t)view->epoch;
    *label = view->image;
    return STATUS_OK;
}

/* Threads that still make pictures of a batch that is no longer asked for leave no trace in the
 * batch that takes its place. */
static void jumps_while_pictures_are_made(void **state) {
    (void)state;
    enum { STEPS = 6 * BATCHES };
    static int images[STEPS][BATCH];
    struct loader_options options = options_of(&with_crops);
    options.feed = (struct picture_feed){.picture_bytes = 2, .make = make_slowly};
    struct loader *loader = loader_of(&options);
    struct random_sequence sequence = random_sequence(5, RANDOM_SEARCH, 0, 0);
    for (int ask = 0; ask < STEPS + 300; ask++) { /* in order first */
        int64_t step = ask < STEPS ? ask : (int)random_below(&sequence, STEPS);
        struct loaded_batch batch;
        assert_int_equal(loader_batch(loader, step, &batch), STATUS_OK);
        for (int i = 0; i < BATCH; i++) {
            if (ask < STEPS)
                images[step][i] = batch.labels[i];
            assert_int_equal(batch.labels[i], images[step][i]);
            assert_int_equal(batch.pictures[2 * i], images[step][i]);
            assert_int_equal(batch.pictures[2 * i + 1], step / BATCHES);
        }
    }
    loader_release(loader);
}

static int run_with(int count) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_image_comes_once_per_epoch),
        cmocka_unit_test(crops_and_flips_are_even),
        cmocka_unit_test(without_augmentation_pictures_are_themselves),
        cmocka_unit_test(parts_of_a_batch_are_the_batch),
        cmocka_unit_test(a_step_has_the_pictures_of_its_feed),
        cmocka_unit_test(padding_may_exceed_the_picture),
        cmocka_unit_test(any_order_of_asking_gives_the_same_batches),
        cmocka_unit_test(batch_size_only_cuts_the_epoch),
        cmocka_unit_test(a_batch_stays_until_the_next_is_asked),
        cmocka_unit_test(next_batches_are_made_ahead),
        cmocka_unit_test(release_at_any_time),
        cmocka_unit_test(errors_have_sentences),
        cmocka_unit_test(a_picture_that_fails_is_named),
        cmocka_unit_test(jumps_while_pictures_are_made),
    };
    threads = count;
    return cmocka_run_group_tests(tests, make_pictures, NULL);
}

int main(void) {
    return run_with(0) + run_with(3);
}
