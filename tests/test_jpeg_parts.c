/* A part of a JPEG picture beside the same pixels of the picture decoded whole: of files of every
 * kind, of noise (so that every neighbour that decoding looks at shows), of sizes below, at and
 * between the library's blocks, at every scale of decoding. */
#include "data/jpeg.h"
#include "data/resample.h"
#include "support/random.h"
#include "support_jpeg.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_PIXELS = 1 << 16, BOXES = 24 };

static const struct {
    int height, width;
} sizes[] = {{1, 1},   {1, 97},  {61, 1},  {2, 3},    {8, 8},    {15, 17},
             {16, 16}, {33, 31}, {52, 70}, {131, 75}, {40, 300}, {257, 33}};

static struct jpeg_decoder *decoder;

static struct picture_window read_box(const uint8_t *file, size_t size, struct picture_box box,
                                      int height, int width, int shrink) {
    struct picture_size picture;
    struct picture_window window;
    if (jpeg_open(decoder, "it.jpg", file, size, MOST_PIXELS, &picture) != STATUS_OK ||
        jpeg_read(decoder, &box, height, width, shrink, &window) != STATUS_OK)
        fail_msg("%s", failure());
    return window;
}

/* The whole picture, decoded at 1 / shrink; the pixels are the caller's to free(). */
static struct picture_window read_whole(const uint8_t *file, size_t size, int height, int width,
                                        int shrink) {
    const struct picture_box all = {.height = height, .width = width};
    struct picture_window window = read_box(file, size, all, 1, 1, shrink);
    assert_int_equal(window.height, (height + shrink - 1) / shrink);
    assert_int_equal(window.width, (width + shrink - 1) / shrink);
    uint8_t *copy = malloc((size_t)window.height * window.stride);
    memcpy(copy, window.pixels, (size_t)window.height * window.stride);
    window.pixels = copy;
    return window;
}

/* Every pixel that resampling the box to height x width looks at. */
static void assert_same_pixels(const struct picture_window *part,
                               const struct picture_window *whole, const struct picture_box *box,
                               int height, int width) {
    double down = resample_reach(box->height, height), right = resample_reach(box->width, width);
    int first_row = (int)fmax(0, floor(box->top - down));
    int first = (int)fmax(0, floor(box->left - right));
    int end_row = (int)fmin(whole->height, ceil(box->top + box->height + down));
    int end = (int)fmin(whole->width, ceil(box->left + box->width + right));
    int top = (int)lround(box->top - part->box.top), left = (int)lround(box->left - part->box.left);
    assert_true(top >= 0 && left >= 0 && top <= first_row && left <= first);
    assert_true(top + part->height >= end_row && left + part->width >= end);
    for (int y = first_row; y < end_row; y++)
        assert_memory_equal(part->pixels + (size_t)(y - top) * part->stride + 3 * (first - left),
                            whole->pixels + (size_t)y * whole->stride + 3 * first,
                            (size_t)(end - first) * 3);
}

/* And what becomes of them: weights differ in their last bits only, where a box is a fraction. */
static void assert_same_result(const struct picture_window *part,
                               const struct picture_window *whole, const struct picture_box *box,
                               int height, int width) {
    struct resampler resampler = {0};
    struct picture_window of_whole = *whole;
    size_t bytes = (size_t)height * (size_t)width * 3;
    uint8_t *ours = malloc(bytes), *theirs = malloc(bytes);
    of_whole.box = *box;
    assert_int_equal(resample(&resampler, part, height, width, false, ours), STATUS_OK);
    assert_int_equal(resample(&resampler, &of_whole, height, width, false, theirs), STATUS_OK);
    for (size_t i = 0; i < bytes; i++)
        assert_true(abs(ours[i] - theirs[i]) <= 1);
    resampler_release(&resampler);
    free(ours);
    free(theirs);
}

/* A box of whole pixels, as crops for training, or anywhere, as the centre of an evaluation. */
static struct picture_box draw_box(struct random_sequence *sequence, int height, int width,
                                   bool whole_pixels) {
    int top = (int)random_below(sequence, (uint32_t)height),
        left = (int)random_below(sequence, (uint32_t)width);
    struct picture_box box = {top, left, 1 + random_below(sequence, (uint32_t)(height - top)),
                              1 + random_below(sequence, (uint32_t)(width - left))};
    if (!whole_pixels) {
        double up = random_uniform(sequence) / 2, aside = random_uniform(sequence) / 2;
        box = (struct picture_box){box.top + up, box.left + aside, box.height - up,
                                   box.width - aside};
    }
    return box;
}

/* As large as the decoder must not shrink the box by more than `shrink`. */
static int out_of(double length, int shrink) {
    double out = floor(length / shrink / 1.25);
    return out > 1 ? (int)out : 1;
}

static void check_parts(const uint8_t *file, size_t size, int height, int width, int shrink,
                        struct random_sequence *sequence) {
    struct picture_window whole = read_whole(file, size, height, width, shrink);
    for (int n = 0; n < BOXES; n++) {
        struct picture_box box = draw_box(sequence, height, width, n % 2 == 0);
        if (box.height < 1.25 * shrink || box.width < 1.25 * shrink)
            continue; /* the decoder would not shrink it so much */
        int rows = shrink == 1 && n % 4 < 2 ? (int)ceil(box.height) : out_of(box.height, shrink);
        int columns = shrink == 1 && n % 3 == 0 ? 2 * (int)box.width : out_of(box.width, shrink);
        struct picture_window part = read_box(file, size, box, rows, columns, shrink);
        const struct picture_box shrunk = {box.top / shrink, box.left / shrink, box.height / shrink,
                                           box.width / shrink};
        assert_same_pixels(&part, &whole, &shrunk, rows, columns);
        assert_same_result(&part, &whole, &shrunk, rows, columns);
    }
    free((void *)(uintptr_t)whole.pixels);
}

static void check_kind(const struct jpeg_kind *kind, int height, int width,
                       struct random_sequence *sequence) {
    size_t bytes = (size_t)height * (size_t)width * (size_t)kind->channels, size;
    uint8_t *pixels = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = (uint8_t)random_below(sequence, 256);
    uint8_t *file = jpeg_of(kind, pixels, height, width, &size);
    for (int shrink = 1; shrink <= 8; shrink *= 2)
        if (shrink == 1 || (height >= 1.25 * shrink && width >= 1.25 * shrink))
            check_parts(file, size, height, width, shrink, sequence);
    free(pixels);
    free(file);
}

static void parts_are_parts_of_the_whole(void **state) {
    (void)state;
    struct random_sequence sequence = random_sequence(2, RANDOM_AUGMENT, 0, 0);
    for (size_t k = 0; k < JPEG_KINDS; k++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            check_kind(&jpeg_kinds[k], sizes[s].height, sizes[s].width, &sequence);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_are_parts_of_the_whole)};
    if (jpeg_decoder_create(&decoder) != STATUS_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    jpeg_decoder_release(decoder);
    return failed;
}
