/* JPEG files against Pillow, and shrunk; kinds that are rare; damage of every sort. */
#include "data/jpeg.h"
#include "support/memory.h"
#include "support_jpeg.h"
#include "support_vectors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEIGHT = 52, WIDTH = 70, MOST_PIXELS = 1 << 20 };

static struct jpeg_decoder *decoder;

static struct picture_size opened(const uint8_t *data, size_t size) {
    struct picture_size picture;
    if (jpeg_open(decoder, "it.jpg", data, size, MOST_PIXELS, &picture) != STATUS_OK)
        fail_msg("%s", failure());
    return picture;
}

static struct picture_window box_of(const uint8_t *data, size_t size, struct picture_box box,
                                    int height, int width, int shrink) {
    struct picture_window window;
    opened(data, size);
    if (jpeg_read(decoder, &box, height, width, shrink, &window) != STATUS_OK)
        fail_msg("%s", failure());
    assert_int_equal(window.channels, 3);
    return window;
}

static struct picture_window whole_of(const uint8_t *data, size_t size) {
    struct picture_size picture = opened(data, size);
    struct picture_box box = {.height = picture.height, .width = picture.width};
    struct picture_window window = box_of(data, size, box, picture.height, picture.width, 1);
    assert_int_equal(window.height, picture.height);
    assert_int_equal(window.width, picture.width);
    return window;
}

static uint8_t *value_at(const struct picture_window *window, int y, int x) {
    return (uint8_t *)(uintptr_t)(window->pixels + (size_t)y * window->stride + 3 * x);
}

/* The mean difference, in grey levels. */
static double difference(const struct picture_window *window, const uint8_t *rgb, int *largest) {
    double sum = 0;
    *largest = 0;
    for (int y = 0; y < window->height; y++)
        for (int i = 0; i < 3 * window->width; i++) {
            int one = abs(value_at(window, y, 0)[i] - rgb[y * 3 * window->width + i]);
            sum += one;
            *largest = one > *largest ? one : *largest;
        }
    return sum / (3.0 * window->height * window->width);
}

static void pixels_are_pillows(void **state) {
    (void)state;
    static const char *const names[] = {"444",  "422",  "420",   "progressive",
                                        "gray", "cmyk", "turned"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        const struct named_tensor *file = vector_named("%s.jpg", names[n]);
        int largest;
        struct picture_window window = whole_of(file->data, (size_t)file->shape[0]);
        difference(&window, vector_named("%s.rgb", names[n])->data, &largest);
        /* libraries of other versions may compute colours of subsampled files differently by 1 */
        if (largest > 1)
            fail_msg("%s differs from Pillow's by %d", names[n], largest);
        assert_string_equal(jpeg_warning(decoder), "");
    }
}

/* The pixels of test pictures: smooth, so that all kinds of files keep them well. */
static uint8_t smooth(int y, int x, int c) {
    return (uint8_t)(128 + 90 * sin(0.09 * x + c) * cos(0.07 * y - 2 * c));
}

static uint8_t *smooth_picture(int channels) {
    static uint8_t pixels[HEIGHT * WIDTH * 4];
    for (int i = 0; i < HEIGHT * WIDTH * channels; i++)
        pixels[i] = smooth(i / channels / WIDTH, i / channels % WIDTH, i % channels);
    return pixels;
}

static void every_kind_keeps_the_picture(void **state) {
    (void)state;
    static uint8_t rgb[HEIGHT * WIDTH * 3];
    for (size_t k = 0; k < JPEG_KINDS; k++) {
        int channels = jpeg_kinds[k].channels, largest;
        const uint8_t *pixels = smooth_picture(channels);
        size_t size;
        uint8_t *file = jpeg_of(&jpeg_kinds[k], pixels, HEIGHT, WIDTH, &size);
        for (int i = 0; i < HEIGHT * WIDTH * 3; i++) {
            const uint8_t *from = pixels + i / 3 * channels;
            double ink = channels == 4 ? from[3] / 255.0 : 1;
            rgb[i] = (uint8_t)lround(from[channels == 1 ? 0 : i % 3] * ink);
        }
        assert_int_equal(opened(file, size).channels, channels);
        struct picture_window window = whole_of(file, size);
        /* quality 95 keeps smooth pictures within 2 levels, colours that are repeated over four
         * pixels (4 x 1) within 4; mistaken colours are off by tens */
        double mean = difference(&window, rgb, &largest);
        if (mean > 4)
            fail_msg("kind %zu is off by %.2f, in a pixel by %d", k, mean, largest);
        assert_string_equal(jpeg_warning(decoder), "");
        free(file);
    }
}

static void shrinking_averages_and_leaves_enough(void **state) {
    (void)state;
    enum { SIDE = 256 };
    static uint8_t pixels[SIDE * SIDE * 3];
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        pixels[i] = smooth(i / 3 / SIDE, i / 3 % SIDE, i % 3);
    const struct jpeg_kind kind = {.channels = 3, .samples = {2, 2}};
    size_t size;
    uint8_t *file = jpeg_of(&kind, pixels, SIDE, SIDE, &size);
    const struct picture_box box = {.height = SIDE, .width = SIDE};
    static const struct {
        int out, shrink, side;
    } cases[] = {{256, 8, 256}, {110, 8, 256}, {102, 8, 128}, {51, 8, 64}, {25, 8, 32},
                 {3, 8, 32},    {25, 4, 64},   {25, 2, 128},  {25, 1, 256}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        struct picture_window window =
            box_of(file, size, box, cases[n].out, cases[n].out, cases[n].shrink);
        assert_int_equal(window.height, cases[n].side);
        assert_int_equal(window.width, cases[n].side);
        assert_true(window.box.height == cases[n].side && window.box.top == 0);
        int by = SIDE / cases[n].side;
        for (int y = 0; y < window.height; y += 5)
            for (int x = 0; x < window.width; x += 5)
                for (int c = 0; c < 3; c++) {
                    double sum = 0;
                    for (int i = 0; i < by * by; i++)
                        sum += smooth(y * by + i / by, x * by + i % by, c);
                    /* of quality 95, with colours of half the size */
                    assert_true(fabs(value_at(&window, y, x)[c] - sum / (by * by)) < 8);
                }
    }
    free(file);
}

/* ------------------------------------------------------------------ damage */

static void assert_refused(const uint8_t *data, size_t size, enum status expected,
                           const char *sentence) {
    struct picture_size picture;
    struct picture_window window;
    enum status status = jpeg_open(decoder, "it.jpg", data, size, MOST_PIXELS, &picture);
    if (status == STATUS_OK) {
        struct picture_box box = {.height = picture.height, .width = picture.width};
        status = jpeg_read(decoder, &box, picture.height, picture.width, 1, &window);
    }
    assert_int_equal(status, expected);
    if (strstr(failure(), sentence) == NULL || strstr(failure(), "it.jpg") == NULL)
        fail_msg("\"%s\" does not say \"%s\" and the name", failure(), sentence);
    failure_clear();
}

static uint8_t *copy_of(const struct named_tensor *file) {
    uint8_t *copy = malloc((size_t)file->shape[0]);
    memcpy(copy, file->data, (size_t)file->shape[0]);
    return copy;
}

/* Where the frame header with the size begins. */
static size_t frame_of(const uint8_t *data, size_t size) {
    for (size_t i = 0; i + 9 < size; i++)
        if (data[i] == 0xff && (data[i + 1] == 0xc0 || data[i + 1] == 0xc2))
            return i;
    fail_msg("no frame");
    return 0;
}

static void truncated_files_are_refused_at_every_cut(void **state) {
    (void)state;
    static const char *const names[] = {"420", "progressive"};
    for (int n = 0; n < 2; n++) {
        const struct named_tensor *file = vector_named("%s.jpg", names[n]);
        for (size_t size = 0; size < (size_t)file->shape[0]; size++) {
            uint8_t *cut = malloc(size + 1); /* for the sanitizer to see a read behind it */
            memcpy(cut, file->data, size);
            cut = realloc(cut, size > 0 ? size : 1);
            assert_refused(cut, size, STATUS_USAGE, "");
            free(cut);
        }
        assert_refused(file->data, (size_t)file->shape[0] - 1, STATUS_USAGE,
                       "is truncated: its end-of-image marker is missing");
    }
}

static void absurd_sizes_are_refused(void **state) {
    (void)state;
    const struct named_tensor *file = vector_named("420.jpg");
    size_t size = (size_t)file->shape[0];
    uint8_t *bad = copy_of(file);
    size_t frame = frame_of(bad, size);
    memcpy(bad + frame + 5, "\xff\xdc\xff\xdc", 4);
    assert_refused(bad, size, STATUS_USAGE, "announces 65500 x 65500 pixels; at most 1048576");
    memcpy(bad + frame + 5, "\0\0\0\1", 4);
    assert_refused(bad, size, STATUS_USAGE, "truncated or damaged");
    bad[frame + 9] = 2; /* channels */
    assert_refused(bad, size, STATUS_USAGE, "truncated or damaged");
    bad[frame + 9] = 3;
    memcpy(bad + frame + 5, "\0\x34\0\x46", 4);
    bad[frame + 4] = 12; /* bits */
    assert_refused(bad, size, STATUS_USAGE, "12");
    free(bad);
}

static void more_pixels_than_bytes_can_hold_are_refused(void **state) {
    (void)state;
    size_t size;
    const struct jpeg_kind kind = {.channels = 1};
    uint8_t *file = jpeg_of(&kind, smooth_picture(1), 8, 8, &size);
    assert_true(size < 1023 * 1023 / 512);
    memcpy(file + frame_of(file, size) + 5, "\x03\xff\x03\xff", 4);
    assert_refused(file, size, STATUS_USAGE, "bytes can hold");
    free(file);
}

static void too_many_scans_are_refused(void **state) {
    (void)state;
    size_t size;
    const struct jpeg_kind kind = {.channels = 1, .many_scans = true};
    uint8_t *file = jpeg_of(&kind, smooth_picture(1), HEIGHT, WIDTH, &size);
    assert_refused(file, size, STATUS_USAGE, "it has more than 100 scans");
    free(file);
}

/* A part lost in the middle, which leaves the markers right: a warning, and the decoder goes on. */
static void lost_data_are_a_warning(void **state) {
    (void)state;
    const struct named_tensor *file = vector_named("420.jpg");
    size_t size = (size_t)file->shape[0], cut = 300;
    uint8_t *bad = copy_of(file);
    memmove(bad + size - cut - 2, bad + size - 2, 2);
    whole_of(bad, size - cut);
    assert_non_null(strstr(jpeg_warning(decoder), "premature end of data segment"));
    whole_of(file->data, size);
    assert_string_equal(jpeg_warning(decoder), "");
    free(bad);
}

/* Bytes in front of a marker, and behind the end: both are files that Pillow takes. */
static void what_is_too_much_is_skipped(void **state) {
    (void)state;
    const struct named_tensor *file = vector_named("420.jpg");
    size_t size = (size_t)file->shape[0];
    uint8_t *longer = calloc(size + 100, 1);
    memcpy(longer, file->data, size);
    int largest;
    struct picture_window window = whole_of(longer, size + 100);
    assert_true(difference(&window, vector_named("420.rgb")->data, &largest) < 1);
    assert_string_equal(jpeg_warning(decoder), "");
    memcpy(longer + 2 + 7, (const uint8_t *)file->data + 2, size - 2); /* behind the first one */
    memcpy(longer + 2, "\xffgarbag", 7);
    longer[2] = 0;
    window = whole_of(longer, size + 7);
    assert_true(difference(&window, vector_named("420.rgb")->data, &largest) < 1);
    assert_non_null(strstr(jpeg_warning(decoder), "extraneous bytes before marker"));
    free(longer);
}

/* A picture without its quantisation tables is not decoded by those of the picture before it. */
static void tables_do_not_stay(void **state) {
    (void)state;
    const struct named_tensor *file = vector_named("420.jpg");
    uint8_t *bad = copy_of(file);
    size_t size = (size_t)file->shape[0];
    whole_of(file->data, size);
    for (size_t i = 0; i < frame_of(bad, size); i++)
        if (bad[i] == 0xff && bad[i + 1] == 0xdb)
            bad[i + 1] = 0xfe; /* a comment */
    assert_refused(bad, size, STATUS_USAGE, "Quantization table");
    free(bad);
}

/* Every byte once in another way: taken or refused with one sentence. */
static void flipped_bytes_are_survived(void **state) {
    (void)state;
    static const char *const names[] = {"420", "progressive", "cmyk"};
    int refused = 0;
    for (int n = 0; n < 3; n++) {
        const struct named_tensor *file = vector_named("%s.jpg", names[n]);
        uint8_t *bad = copy_of(file);
        for (int64_t i = 0; i < file->shape[0]; i++) {
            struct picture_size picture;
            struct picture_window window;
            bad[i] ^= 0x55;
            enum status status =
                jpeg_open(decoder, "it.jpg", bad, (size_t)file->shape[0], MOST_PIXELS, &picture);
            if (status == STATUS_OK) {
                struct picture_box box = {.height = picture.height, .width = picture.width};
                status = jpeg_read(decoder, &box, 10, 10, 8, &window);
            }
            refused += status != STATUS_OK;
            assert_int_equal(status == STATUS_OK, failure()[0] == '\0');
            failure_clear();
            bad[i] ^= 0x55;
        }
        free(bad);
    }
    assert_true(refused > 100);
}

static void refused_memory_is_survived(void **state) {
    (void)state;
    struct jpeg_decoder *another;
    const struct named_tensor *file = vector_named("420.jpg");
    allocate_fail_at(1);
    assert_int_equal(jpeg_decoder_create(&another), STATUS_FAILED);
    assert_null(another);
    failure_clear();
    allocate_fail_at(0);
    assert_int_equal(jpeg_decoder_create(&another), STATUS_OK);
    struct jpeg_decoder *kept = decoder;
    decoder = another;
    allocate_fail_at(1);
    assert_refused(file->data, (size_t)file->shape[0], STATUS_FAILED, "no memory");
    allocate_fail_at(0);
    whole_of(file->data, (size_t)file->shape[0]);
    jpeg_decoder_release(another);
    decoder = kept;
}

static int create(void **state) {
    (void)state;
    return jpeg_decoder_create(&decoder);
}

static int release(void **state) {
    (void)state;
    jpeg_decoder_release(decoder);
    vectors_release();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_pillows),
        cmocka_unit_test(every_kind_keeps_the_picture),
        cmocka_unit_test(shrinking_averages_and_leaves_enough),
        cmocka_unit_test(truncated_files_are_refused_at_every_cut),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(more_pixels_than_bytes_can_hold_are_refused),
        cmocka_unit_test(too_many_scans_are_refused),
        cmocka_unit_test(lost_data_are_a_warning),
        cmocka_unit_test(what_is_too_much_is_skipped),
        cmocka_unit_test(tables_do_not_stay),
        cmocka_unit_test(flipped_bytes_are_survived),
        cmocka_unit_test(refused_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, create, release);
}
