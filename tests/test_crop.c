/* Which parts of pictures are taken, jitter against Pillow, and the one function of all. */
#include "data/crop.h"
#include "data/jitter.h"
#include "data/picture_decoder.h"
#include "data/png.h"
#include "support/memory.h"
#include "support_vectors.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DRAWS = 20000, HEIGHT = 24, WIDTH = 32, OUT = HEIGHT * WIDTH * 3 };

static const struct picture_recipe imagenet = {.height = HEIGHT,
                                               .width = WIDTH,
                                               .channels = 3,
                                               .centre = 0.875,
                                               .scale = {0.08, 1},
                                               .ratio = {3.0 / 4, 4.0 / 3},
                                               .flip = true,
                                               .jitter = {0.4, 0.4, 0.4},
                                               .shrink = 8};

/* ----------------------------------------------------------------- random crops */

static void assert_inside(const struct picture_box *box, const struct picture_size *picture) {
    assert_true(box->height >= 1 && box->width >= 1 && box->top >= 0 && box->left >= 0);
    assert_true(box->top + box->height <= picture->height);
    assert_true(box->left + box->width <= picture->width);
    assert_true(box->height == rint(box->height) && box->width == rint(box->width) &&
                box->top == rint(box->top) && box->left == rint(box->left));
}

static void crops_lie_inside(void **state) {
    (void)state;
    static const struct picture_size sizes[] = {{1, 1, 3},     {1, 500, 3}, {500, 1, 3},
                                                {375, 500, 3}, {3, 2, 3},   {65500, 7, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint32_t n = 0; n < 2000; n++) {
            struct random_sequence sequence = random_sequence(1, RANDOM_AUGMENT, s, n);
            struct picture_box box = crop_random(&imagenet, &sizes[s], &sequence);
            assert_inside(&box, &sizes[s]);
        }
}

/* As RandomResizedCrop.get_params is documented, with another generator: rand(). */
static double reference_area(double height, double width) {
    for (int i = 0; i < 10; i++) {
        double area = height * width * (0.08 + 0.92 * rand() / RAND_MAX);
        double ratio = 3.0 / 4 * pow(16.0 / 9, (double)rand() / RAND_MAX);
        double w = rint(sqrt(area * ratio)), h = rint(sqrt(area / ratio));
        if (w <= width && h <= height)
            return w * h;
    }
    return height * width; /* its ratio is allowed */
}

/* Shares of the picture's area, as steps of a distribution, beside the reference's. Two samples of
 * n draws of one distribution come as far apart as 2.2 sqrt(2 / n) once in 10,000 times
 * (Kolmogorov-Smirnov); rounding to pixels is the same for both. */
static void areas_have_the_distribution(void **state) {
    (void)state;
    enum { STEPS = 400 };
    const struct picture_size picture = {375, 500, 3};
    double all = picture.height * picture.width;
    int ours[STEPS + 1] = {0}, reference[STEPS + 1] = {0};
    srand(1);
    for (uint32_t n = 0; n < DRAWS; n++) {
        struct random_sequence sequence = random_sequence(1, RANDOM_AUGMENT, 0, n);
        struct picture_box box = crop_random(&imagenet, &picture, &sequence);
        ours[(int)(STEPS * box.height * box.width / all)]++;
        reference[(int)(STEPS * reference_area(picture.height, picture.width) / all)]++;
    }
    double distance = 0, sum = 0;
    for (int i = 0; i <= STEPS; i++) {
        sum += ours[i] - reference[i];
        distance = fmax(distance, fabs(sum) / DRAWS);
    }
    assert_true(distance < 2.2 * sqrt(2.0 / DRAWS));
}

/* Where small crops lie and what shape they have is even. A mean of n even draws of 0..1 is off by
 * four times its deviation, 4 / sqrt(12 n), once in 16,000 times. */
static void places_and_ratios_are_even(void **state) {
    (void)state;
    struct picture_recipe recipe = imagenet;
    const struct picture_size picture = {2000, 2000, 3};
    double down = 0, right = 0, ratio = 0;
    recipe.scale[1] = 0.1;
    for (uint32_t n = 0; n < DRAWS; n++) {
        struct random_sequence sequence = random_sequence(7, RANDOM_AUGMENT, 3, n);
        struct picture_box box = crop_random(&recipe, &picture, &sequence);
        double share = box.height * box.width / (2000.0 * 2000);
        assert_true(share > 0.0795 && share < 0.1005); /* sides are rounded to pixels */
        down += box.top / (picture.height - box.height);
        right += box.left / (picture.width - box.width);
        ratio += log(box.width / box.height / 0.75) / log(16.0 / 9);
    }
    double most = 4 / sqrt(12.0 * DRAWS);
    assert_true(fabs(down / DRAWS - 0.5) < most);
    assert_true(fabs(right / DRAWS - 0.5) < most);
    assert_true(fabs(ratio / DRAWS - 0.5) < most);
}

static void narrow_pictures_fall_back_to_the_middle(void **state) {
    (void)state;
    static const struct {
        struct picture_size picture;
        struct picture_box box;
    } cases[] = {{{10, 1000, 3}, {0, 493, 10, 13}}, {{1001, 30, 3}, {480, 0, 40, 30}}};
    struct picture_recipe recipe = imagenet;
    recipe.scale[0] = 0.5; /* never fits */
    for (int n = 0; n < 2; n++) {
        struct random_sequence sequence = random_sequence(1, RANDOM_AUGMENT, 0, 0);
        struct picture_box box = crop_random(&recipe, &cases[n].picture, &sequence);
        assert_memory_equal(&box, &cases[n].box, sizeof box);
    }
}

/* ------------------------------------------------------------------ the centre */

/* Resize(256) gives 256 x 341 (500 * 256 / 375 = 341.3), CenterCrop(224) takes rows 16.. and
 * columns round(58.5) = 58.. of it. */
static void the_centre_is_torchvisions(void **state) {
    (void)state;
    struct picture_recipe recipe = imagenet;
    recipe.height = recipe.width = 224;
    const struct picture_size picture = {375, 500, 3};
    struct picture_box box = crop_centre(&recipe, &picture);
    assert_true(fabs(box.top - 16 * 375 / 256.0) < 1e-9);
    assert_true(fabs(box.height - 224 * 375 / 256.0) < 1e-9);
    assert_true(fabs(box.left - 58 * 500 / 341.0) < 1e-9);
    assert_true(fabs(box.width - 224 * 500 / 341.0) < 1e-9);
    recipe.centre = 0;
    box = crop_centre(&recipe, &picture);
    assert_true(box.top == 0 && box.left == 0 && box.height == 375 && box.width == 500);
}

static void centres_lie_inside(void **state) {
    (void)state;
    for (int height = 1; height < 300; height += 13)
        for (int width = 1; width < 300; width += 7)
            for (int n = 0; n < 3; n++) {
                struct picture_recipe recipe = imagenet;
                const struct picture_size picture = {height, width, 3};
                recipe.height = 1 + 40 * n;
                recipe.width = 81 - 40 * n;
                recipe.centre = n == 1 ? 1 : 0.875;
                struct picture_box box = crop_centre(&recipe, &picture);
                assert_true(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0);
                assert_true(box.top + box.height <= height + 1e-9);
                assert_true(box.left + box.width <= width + 1e-9);
            }
}

/* ---------------------------------------------------------------------- jitter */

static void jitter_is_pillows(void **state) {
    (void)state;
    const struct named_tensor *picture = vector_named("picture"),
                              *factors = vector_named("factors");
    size_t pixels = (size_t)(picture->shape[0] * picture->shape[1]);
    uint8_t *changed = malloc(3 * pixels);
    for (int which = 0; which < JITTERS; which++)
        for (int n = 0; n < factors->shape[0]; n++) {
            const uint8_t *expected = vector_named("jittered.%d.%d", which, n)->data;
            memcpy(changed, picture->data, 3 * pixels);
            jitter_apply(which, ((const double *)factors->data)[n], changed, pixels, 3);
            for (size_t i = 0; i < 3 * pixels; i++) /* fractions are dropped after float sums */
                assert_in_range(abs(changed[i] - expected[i]), 0, 1);
        }
    free(changed);
}

/* --------------------------------------------------------------- the one function */

static struct picture_decoder *decoder;

static void make(const struct picture_recipe *recipe, const struct picture_key *key,
                 const uint8_t *data, size_t size, uint8_t *out) {
    if (picture_make(decoder, recipe, key, "it", data, size, out) != STATUS_OK)
        fail_msg("%s", failure());
}

static void the_key_decides(void **state) {
    (void)state;
    static uint8_t first[OUT], again[OUT], other[OUT];
    const struct named_tensor *file = vector_named("420.jpg"), *between = vector_named("gray.jpg");
    const struct picture_key key = {1, 2, 3}, others[] = {{2, 2, 3}, {1, 3, 3}, {1, 2, 4}};
    size_t size = (size_t)file->shape[0];
    make(&imagenet, &key, file->data, size, first);
    for (int n = 0; n < 3; n++) {
        make(&imagenet, &others[n], file->data, size, other);
        assert_memory_not_equal(first, other, OUT);
        make(&imagenet, NULL, between->data, (size_t)between->shape[0], other);
        make(&imagenet, &key, file->data, size, again);
        assert_memory_equal(first, again, OUT);
    }
}

/* Without other changes: half of the pictures are the other half's mirror images. */
static void half_are_mirrored(void **state) {
    (void)state;
    enum { PICTURES = 1000 };
    static uint8_t plain[OUT], made[OUT];
    const struct named_tensor *file = vector_named("444.jpg");
    struct picture_recipe recipe = {.height = HEIGHT, .width = WIDTH, .channels = 3, .shrink = 1};
    recipe.scale[0] = recipe.scale[1] = 1;
    recipe.ratio[0] = recipe.ratio[1] = 70.0 / 52;
    make(&recipe, NULL, file->data, (size_t)file->shape[0], plain);
    int mirrored = 0;
    for (uint32_t n = 0; n < PICTURES; n++) {
        const struct picture_key key = {1, 0, n};
        recipe.flip = true;
        make(&recipe, &key, file->data, (size_t)file->shape[0], made);
        bool same = memcmp(made, plain, OUT) == 0;
        for (int i = 0; i < HEIGHT * WIDTH && !same; i++)
            assert_memory_equal(made + 3 * i,
                                plain + 3 * (i / WIDTH * WIDTH + WIDTH - 1 - i % WIDTH), 3);
        mirrored += !same;
        recipe.flip = false;
        make(&recipe, &key, file->data, (size_t)file->shape[0], made);
        assert_memory_equal(made, plain, OUT);
    }
    /* four deviations, sqrt(n) / 2 */
    assert_true(abs(mirrored - PICTURES / 2) < 4 * sqrt(PICTURES) / 2);
}

static void content_decides_not_the_name(void **state) {
    (void)state;
    static uint8_t made[OUT], same[OUT];
    struct picture_window window = vector_window(vector_named("picture"));
    const struct raster raster = {window.height, window.width, 3,
                                  (uint8_t *)(uintptr_t)window.pixels};
    static uint8_t pnm[64 + 52 * 70 * 3];
    int head = snprintf((char *)pnm, 64, "P6 %d %d 255\n", window.width, window.height);
    size_t bytes = window.stride * (size_t)window.height, size;
    uint8_t *png;
    memcpy(pnm + head, window.pixels, bytes);
    assert_int_equal(png_encode(&raster, &png, &size), STATUS_OK);
    const struct picture_key key = {3, 1, 4};
    make(&imagenet, &key, png, size, made);
    make(&imagenet, &key, pnm, (size_t)head + bytes, same);
    assert_memory_equal(made, same, OUT);
    free(png);
    static const char *const others[] = {"", "hello, world", "GIF89a....", "\xff\xd8"};
    for (size_t n = 0; n < sizeof others / sizeof *others; n++) {
        assert_int_equal(picture_make(decoder, &imagenet, NULL, "n0/x.JPEG",
                                      (const uint8_t *)others[n], strlen(others[n]), made),
                         STATUS_USAGE);
        assert_string_equal(failure(), "n0/x.JPEG is not a JPEG, PNG or PNM picture");
        failure_clear();
    }
}

static void gray_networks_read_colours_and_the_reverse(void **state) {
    (void)state;
    static uint8_t rgb[OUT], gray[OUT / 3];
    const struct named_tensor *file = vector_named("gray.jpg");
    struct picture_recipe recipe = imagenet;
    make(&recipe, NULL, file->data, (size_t)file->shape[0], rgb);
    recipe.channels = 1;
    make(&recipe, NULL, file->data, (size_t)file->shape[0], gray);
    for (int i = 0; i < OUT; i++)
        assert_int_equal(rgb[i], gray[i / 3]);
}

static void refused_memory_is_survived(void **state) {
    (void)state;
    static uint8_t expected[OUT], made[OUT];
    const struct named_tensor *file = vector_named("420.jpg");
    const struct picture_key key = {1, 2, 3};
    size_t size = (size_t)file->shape[0];
    make(&imagenet, &key, file->data, size, expected);
    long calls = 0;
    for (enum status status = STATUS_FAILED; status != STATUS_OK;) {
        struct picture_decoder *another;
        allocate_fail_at(++calls);
        status = picture_decoder_create(&another, PICTURE_MOST_PIXELS);
        if (status == STATUS_OK)
            status = picture_make(another, &imagenet, &key, "it", file->data, size, made);
        if (status != STATUS_OK)
            assert_non_null(strstr(failure(), "no memory"));
        failure_clear();
        allocate_fail_at(0);
        picture_decoder_release(another);
    }
    assert_true(calls > 3);
    assert_memory_equal(made, expected, OUT);
}

static void *make_many(void *failed) {
    static const char *const names[] = {"420.jpg", "progressive.jpg", "cmyk.jpg", "gray.jpg"};
    struct picture_decoder *mine;
    uint8_t made[OUT];
    if (picture_decoder_create(&mine, PICTURE_MOST_PIXELS) != STATUS_OK)
        return failed;
    uint64_t sum = 0;
    for (uint32_t n = 0; n < 100; n++) {
        const struct named_tensor *file = vector_named("%s", names[n % 4]);
        const struct picture_key key = {1, 2, n};
        if (picture_make(mine, &imagenet, &key, names[n % 4], file->data, (size_t)file->shape[0],
                         made) != STATUS_OK)
            sum += 1;
        for (int i = 0; i < OUT; i++)
            sum = sum * 31 + made[i];
    }
    *(uint64_t *)failed = sum;
    picture_decoder_release(mine);
    return NULL;
}

static void threads_do_not_meet(void **state) {
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    uint64_t sums[THREADS] = {0}, alone = 0;
    make_many(&alone);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, &sums[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
        assert_true(sums[i] == alone);
    }
}

static int create(void **state) {
    (void)state;
    vector_named("picture"); /* read before threads are there */
    return picture_decoder_create(&decoder, PICTURE_MOST_PIXELS);
}

static int release(void **state) {
    (void)state;
    picture_decoder_release(decoder);
    vectors_release();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_lie_inside),
        cmocka_unit_test(areas_have_the_distribution),
        cmocka_unit_test(places_and_ratios_are_even),
        cmocka_unit_test(narrow_pictures_fall_back_to_the_middle),
        cmocka_unit_test(the_centre_is_torchvisions),
        cmocka_unit_test(centres_lie_inside),
        cmocka_unit_test(jitter_is_pillows),
        cmocka_unit_test(the_key_decides),
        cmocka_unit_test(half_are_mirrored),
        cmocka_unit_test(content_decides_not_the_name),
        cmocka_unit_test(gray_networks_read_colours_and_the_reverse),
        cmocka_unit_test(refused_memory_is_survived),
        cmocka_unit_test(threads_do_not_meet),
    };
    return cmocka_run_group_tests(tests, create, release);
}
