/* Pictures that `taper predict` reads: PNG files put together here byte by byte, PGM and PPM,
 * single pictures of IDX files, resizing against its definition, and damage. */
#include "data/picture_file.h"
#include "data/png.h"
#include "data/raster.h"
#include "support/random.h"
#include "support_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { HEIGHT = 3, WIDTH = 5, PIXELS = HEIGHT * WIDTH };

static const uint8_t gray[PIXELS] = {0, 10, 20, 30, 40, 50, 60, 70, 255, 254, 253, 1, 2, 3, 128};

static uint8_t colour_of(int pixel, int channel) {
    return (uint8_t)(pixel * 17 + channel * 91 + 5);
}

struct bytes {
    size_t size;
    uint8_t data[2000];
};

static void add(struct bytes *file, const void *data, size_t size) {
    memcpy(file->data + file->size, data, size);
    file->size += size;
}

static void add_text(struct bytes *file, const char *text) {
    add(file, text, strlen(text));
}

static void add_number(struct bytes *file, uint32_t number) {
    const uint8_t bytes[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                             (uint8_t)(number >> 8), (uint8_t)number};
    add(file, bytes, 4);
}

static void add_chunk(struct bytes *file, const char *type, const void *data, size_t size) {
    add_number(file, (uint32_t)size);
    uint8_t *start = file->data + file->size;
    add(file, type, 4);
    add(file, data, size);
    add_number(file, (uint32_t)crc32(0, start, (uInt)(4 + size)));
}

/* kind: 0 gray, 2 RGB, 3 palette, 4 gray and alpha. samples: bytes of a pixel. */
static struct bytes png_file(int kind, int depth, int samples, const uint8_t *pixels,
                             const struct bytes *palette) {
    struct bytes file = {0}, header = {0}, rows = {0};
    uint8_t packed[1000];
    uLongf packed_size = sizeof packed;
    add(&file, "\x89PNG\r\n\x1a\n", 8);
    add_number(&header, WIDTH);
    add_number(&header, HEIGHT);
    add(&header, (const uint8_t[]){(uint8_t)depth, (uint8_t)kind, 0, 0, 0}, 5);
    add_chunk(&file, "IHDR", header.data, header.size);
    if (palette != NULL)
        add_chunk(&file, "PLTE", palette->data, palette->size);
    for (int y = 0; y < HEIGHT; y++) {
        add(&rows, "", 1); /* no filter */
        add(&rows, pixels + y * WIDTH * samples, (size_t)(WIDTH * samples));
    }
    assert_int_equal(compress(packed, &packed_size, rows.data, rows.size), Z_OK);
    add_chunk(&file, "IDAT", packed, packed_size);
    add_chunk(&file, "IEND", "", 0);
    return file;
}

static struct pictures load_as(const char *name, int height, int width, int channels) {
    const struct picture_recipe recipe = {.height = height, .width = width, .channels = channels};
    struct picture_origin origin;
    struct pictures pictures;
    if (picture_file_load(&pictures, &origin, test_path(name), &recipe) != STATUS_OK)
        fail_msg("%s", failure());
    assert_int_equal(pictures.height, height);
    assert_int_equal(pictures.width, width);
    assert_int_equal(pictures.channels, channels);
    assert_null(pictures.labels);
    return pictures;
}

static void assert_pixels(const char *name, const struct bytes *file, int channels,
                          const uint8_t *expected) {
    test_write(name, file->data, file->size);
    struct pictures pictures = load_as(name, HEIGHT, WIDTH, channels);
    assert_int_equal(pictures.count, 1);
    assert_memory_equal(pictures.pixels, expected, (size_t)(PIXELS * channels));
    pictures_release(&pictures);
}

static void colours(uint8_t pixels[PIXELS * 3]) {
    for (int i = 0; i < PIXELS * 3; i++)
        pixels[i] = colour_of(i / 3, i % 3);
}

static void png_files_of_every_kind(void **state) {
    (void)state;
    uint8_t rgb[PIXELS * 3], wide[PIXELS * 2], alpha[PIXELS * 2], seen[PIXELS], same[PIXELS * 3];
    uint8_t numbers[PIXELS];
    struct bytes palette = {0};
    test_folder("picture_file");
    colours(rgb);
    for (int i = 0; i < PIXELS; i++) {
        wide[2 * i] = wide[2 * i + 1] = gray[i]; /* 257 times the value: the same in 16 bits */
        alpha[2 * i] = gray[i];
        alpha[2 * i + 1] = i % 2 ? 255 : 0;
        seen[i] = i % 2 ? gray[i] : 0; /* what is transparent lies over black */
        memset(same + 3 * i, gray[i], 3);
        numbers[i] = (uint8_t)(PIXELS - 1 - i);
        add(&palette, rgb + 3 * (PIXELS - 1 - i), 3);
    }
    struct bytes file = png_file(0, 8, 1, gray, NULL);
    assert_pixels("gray.png", &file, 1, gray);
    assert_pixels("gray.png", &file, 3, same);
    file = png_file(0, 16, 2, wide, NULL);
    assert_pixels("wide.png", &file, 1, gray);
    file = png_file(4, 8, 2, alpha, NULL);
    assert_pixels("alpha.png", &file, 1, seen);
    file = png_file(2, 8, 3, rgb, NULL);
    assert_pixels("rgb.png", &file, 3, rgb);
    file = png_file(3, 8, 1, numbers, &palette);
    assert_pixels("palette.png", &file, 3, rgb);
}

static void luma_makes_gray(void **state) {
    (void)state;
    uint8_t rgb[PIXELS * 3], luma[PIXELS];
    test_folder("picture_file");
    colours(rgb);
    for (int i = 0; i < PIXELS; i++) /* in whole numbers, rounded */
        luma[i] = (uint8_t)((299 * rgb[3 * i] + 587 * rgb[3 * i + 1] + 114 * rgb[3 * i + 2] + 500) /
                            1000);
    struct bytes file = png_file(2, 8, 3, rgb, NULL);
    assert_pixels("rgb.png", &file, 1, luma);
}

static void pgm_and_ppm_files(void **state) {
    (void)state;
    uint8_t rgb[PIXELS * 3], small[PIXELS], large[PIXELS];
    test_folder("picture_file");
    colours(rgb);
    struct bytes file = {0};
    add_text(&file, "P5\n# a comment\n5 3\n255\n");
    add(&file, gray, sizeof gray);
    assert_pixels("a.pgm", &file, 1, gray);
    file.size = 0;
    add_text(&file, "P6 5\t3 # 7 7\n 255\n");
    add(&file, rgb, sizeof rgb);
    assert_pixels("a.ppm", &file, 3, rgb);
    for (int i = 0; i < PIXELS; i++) {
        small[i] = (uint8_t)(i % 4);
        large[i] = (uint8_t)(85 * (i % 4));
    }
    file.size = 0;
    add_text(&file, "P5 5 3 3\n");
    add(&file, small, sizeof small);
    assert_pixels("small.pgm", &file, 1, large);
    file.size = 0;
    add_text(&file, "P5 5 3 65535\n");
    for (int i = 0; i < PIXELS; i++)
        add(&file, (const uint8_t[]){gray[i], gray[i]}, 2);
    assert_pixels("wide.pgm", &file, 1, gray);
}

/* By definition: all old pixels, weighted by a triangle around the new pixel's centre. */
static double resized(const uint8_t *pixels, int height, int width, int new_height, int new_width,
                      int y, int x) {
    double high = (double)height / new_height, wide = (double)width / new_width, sum = 0, all = 0;
    for (int v = 0; v < height; v++) {
        for (int u = 0; u < width; u++) {
            double down = fabs(v + 0.5 - (y + 0.5) * high) / (high > 1 ? high : 1);
            double right = fabs(u + 0.5 - (x + 0.5) * wide) / (wide > 1 ? wide : 1);
            double weight = down < 1 && right < 1 ? (1 - down) * (1 - right) : 0;
            sum += weight * pixels[v * width + u];
            all += weight;
        }
    }
    return sum / all;
}

static void resizing_is_a_triangle(void **state) {
    (void)state;
    enum { OLD_HEIGHT = 23, OLD_WIDTH = 17 };
    static const int sizes[][2] = {{7, 5}, {40, 31}, {23, 40}, {1, 1}, {46, 34}, {22, 16}};
    uint8_t pixels[OLD_HEIGHT * OLD_WIDTH];
    struct random_sequence sequence = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    for (int i = 0; i < OLD_HEIGHT * OLD_WIDTH; i++)
        pixels[i] = (uint8_t)(255.99 * random_uniform(&sequence));
    const struct raster from = {OLD_HEIGHT, OLD_WIDTH, 1, pixels};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int height = sizes[s][0], width = sizes[s][1];
        uint8_t made[46 * 40];
        const struct raster to = {height, width, 1, made};
        assert_int_equal(raster_fit(&from, &to), STATUS_OK);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                double expected = resized(pixels, OLD_HEIGHT, OLD_WIDTH, height, width, y, x);
                /* rounding, and rows that are added up in 1/128 (test_resample.c) */
                assert_true(fabs(made[y * width + x] - expected) <= 0.5 + 4 * 0.5 / 128);
            }
    }
}

/* Written by us, read by us: as programs for <img> get it. */
static void png_encoding_returns(void **state) {
    (void)state;
    uint8_t rgb[PIXELS * 3], *file;
    size_t size;
    colours(rgb);
    for (int channels = 1; channels <= 3; channels += 2) {
        const struct raster from = {HEIGHT, WIDTH, channels, rgb};
        struct raster back;
        assert_int_equal(png_encode(&from, &file, &size), STATUS_OK);
        assert_true(png_is(file, size));
        assert_int_equal(png_decode(&back, "it", file, size), STATUS_OK);
        assert_int_equal(back.channels, channels);
        assert_memory_equal(back.pixels, rgb, (size_t)(PIXELS * channels));
        free(back.pixels);
        free(file);
    }
}

/* ------------------------------------------------------------------ IDX files */

enum { COUNT = 12 };

static void write_idx(const char *name) {
    uint8_t plain[16 + COUNT * PIXELS] = {0, 0, 8, 3,      0, 0, 0, COUNT,
                                          0, 0, 0, HEIGHT, 0, 0, 0, WIDTH};
    for (int i = 0; i < COUNT * PIXELS; i++)
        plain[16 + i] = (uint8_t)(7 * i);
    gzFile file = gzopen(test_path(name), "wb");
    assert_int_equal(gzwrite(file, plain, sizeof plain), sizeof plain);
    assert_int_equal(gzclose(file), Z_OK);
}

static void idx_files_and_ranges(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int first, count;
    } ranges[] = {{"a.gz", 0, COUNT},  {"a.gz:0", 0, 1},     {"a.gz:11", 11, 1}, {"a.gz:3-3", 3, 1},
                  {"a.gz:4-11", 4, 8}, {"b:7.gz", 0, COUNT}, {"b:7.gz:2", 2, 1}};
    const struct picture_recipe recipe = {.height = HEIGHT, .width = WIDTH, .channels = 1};
    test_folder("picture_file");
    write_idx("a.gz");
    write_idx("b:7.gz");
    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++) {
        struct pictures pictures;
        struct picture_origin origin;
        assert_int_equal(picture_file_load(&pictures, &origin, test_path(ranges[r].name), &recipe),
                         STATUS_OK);
        assert_int_equal(pictures.count, ranges[r].count);
        assert_int_equal(origin.first, ranges[r].first);
        assert_string_equal(origin.path, test_path(ranges[r].name[0] == 'a' ? "a.gz" : "b:7.gz"));
        for (int i = 0; i < ranges[r].count * PIXELS; i++)
            assert_int_equal(pictures.pixels[i], (uint8_t)(7 * (i + ranges[r].first * PIXELS)));
        pictures_release(&pictures);
    }
}

/* ------------------------------------------------------------------ damage */

static void assert_refused(const char *name, const char *sentence) {
    const struct picture_recipe recipe = {.height = HEIGHT, .width = WIDTH, .channels = 1};
    struct pictures pictures;
    struct picture_origin origin;
    assert_int_equal(picture_file_load(&pictures, &origin, test_path(name), &recipe), STATUS_USAGE);
    if (strstr(failure(), sentence) == NULL || strstr(failure(), "picture_file/") == NULL)
        fail_msg("\"%s\" does not say \"%s\" and the file", failure(), sentence);
    assert_null(pictures.pixels);
    failure_clear();
}

static void bad_names_and_files_are_refused(void **state) {
    (void)state;
    test_folder("picture_file");
    write_idx("a.gz");
    test_write("a.pgm", "P5 1 1 255\n!", 12);
    assert_refused("none.png", "there is no file");
    assert_refused("none.gz:3", "none.gz:3");
    assert_refused("a.gz:12", "has the pictures 0..11");
    assert_refused("a.gz:3-99", "none with the number 99");
    assert_refused("a.gz:5-2", "ends before it begins");
    assert_refused("a.gz:", "behind the colon");
    assert_refused("a.gz:x", "behind the colon");
    assert_refused("a.gz:1-", "behind the colon");
    assert_refused("a.gz:-1", "behind the colon");
    assert_refused("a.gz:1-2-3", "behind the colon");
    assert_refused("a.gz:99999999999", "behind the colon");
    assert_refused("a.pgm:0", "is one picture");
    test_write("empty", "", 0);
    assert_refused("empty", "is not a JPEG, PNG or PNM picture");
    test_write("text", "hello, world", 12);
    assert_refused("text", "is not a JPEG, PNG or PNM picture");
}

static void damaged_pnm_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *sentence;
    } files[] = {{"P5 2 2 255\n1234", NULL},
                 {"P5 2 2 255\n123", "has 3 bytes of pixels, its header announces 4"},
                 {"P5 2 2 255\n12345", "has 5 bytes of pixels"},
                 {"P5 2 2 256\n12345678", "a value of"},
                 {"P5 0 2 255\n", "its width is not within"},
                 {"P5 2 99999999999 255\n", "its height is not within"},
                 {"P5 2 2 65536\n", "its largest value is not within"},
                 {"P5 2 2 255", "ends within its header"},
                 {"P5 2 2", "its largest value"},
                 {"P5 # no end", "its width"},
                 {"P5 -1 2 255\n", "its width"},
                 {"P2 1 1 255\n 7", "is a P2 file"}};
    test_folder("picture_file");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        test_write("a.pgm", files[i].text, strlen(files[i].text));
        if (files[i].sentence != NULL) {
            assert_refused("a.pgm", files[i].sentence);
            continue;
        }
        struct pictures pictures = load_as("a.pgm", 2, 2, 1);
        assert_memory_equal(pictures.pixels, "1234", 4);
        pictures_release(&pictures);
    }
}

/* Every cut and every flipped byte: read or refused, never a crash; a cut is always refused. */
static void damaged_png_is_refused(void **state) {
    (void)state;
    const struct picture_recipe recipe = {.height = HEIGHT, .width = WIDTH, .channels = 1};
    struct bytes good = png_file(0, 8, 1, gray, NULL);
    struct pictures pictures;
    struct picture_origin origin;
    test_folder("picture_file");
    for (size_t size = 8; size < good.size - 12; size++) { /* without all of IDAT; IEND may lack */
        test_write("cut.png", good.data, size);
        assert_refused("cut.png", "truncated or damaged");
    }
    for (size_t i = 8; i < good.size; i++) {
        struct bytes bad = good;
        bad.data[i] ^= 0x55;
        test_write("bad.png", bad.data, bad.size);
        if (picture_file_load(&pictures, &origin, test_path("bad.png"), &recipe) != STATUS_OK)
            assert_non_null(strstr(failure(), "bad.png"));
        failure_clear();
        pictures_release(&pictures);
    }
}

static void a_network_of_other_channels_is_refused(void **state) {
    (void)state;
    uint8_t made[PIXELS * 4];
    const struct raster from = {HEIGHT, WIDTH, 1, (uint8_t *)(uintptr_t)gray};
    const struct raster to = {HEIGHT, WIDTH, 4, made};
    assert_int_equal(raster_fit(&from, &to), STATUS_USAGE);
    assert_non_null(strstr(failure(), "4 channels"));
    failure_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_files_of_every_kind),
        cmocka_unit_test(luma_makes_gray),
        cmocka_unit_test(pgm_and_ppm_files),
        cmocka_unit_test(resizing_is_a_triangle),
        cmocka_unit_test(png_encoding_returns),
        cmocka_unit_test(idx_files_and_ranges),
        cmocka_unit_test(bad_names_and_files_are_refused),
        cmocka_unit_test(damaged_pnm_is_refused),
        cmocka_unit_test(damaged_png_is_refused),
        cmocka_unit_test(a_network_of_other_channels_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
