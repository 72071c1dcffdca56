/* Resizing against its definition in double precision and against Pillow, mirrored pictures, and
 * memory that is refused. */
#include "data/resample.h"
#include "support/memory.h"
#include "support/random.h"
#include "support_vectors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_SIDE = 110, MOST_BYTES = MOST_SIDE * MOST_SIDE * 3 };

static uint8_t made[MOST_BYTES];

static void resize(const struct picture_window *window, int height, int width, bool mirror) {
    struct resampler resampler = {0};
    assert_true(height <= MOST_SIDE && width <= MOST_SIDE);
    assert_int_equal(resample(&resampler, window, height, width, mirror, made), STATUS_OK);
    resampler_release(&resampler);
}

/* By definition: all pixels of the window, weighted by the triangle around the new pixel's centre.
 */
static double weight(double pixel, double start, double length, int count, int i) {
    double scale = length / count, centre = start + (i + 0.5) * scale;
    return fmax(0, 1 - fabs(pixel + 0.5 - centre) / fmax(1, scale));
}

static double resized(const struct picture_window *window, int height, int width, int y, int x,
                      int c) {
    const struct picture_box *box = &window->box;
    double sum = 0, all = 0;
    for (int v = 0; v < window->height; v++) {
        double down = weight(v, box->top, box->height, height, y);
        for (int u = 0; down > 0 && u < window->width; u++) {
            double both = down * weight(u, box->left, box->width, width, x);
            sum += both * window->pixels[(size_t)v * window->stride + u * window->channels + c];
            all += both;
        }
    }
    return sum / all;
}

static void assert_defined(const struct picture_window *window, int height, int width) {
    const uint8_t *at = made;
    resize(window, height, width, false);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < window->channels; c++) {
                double expected = resized(window, height, width, y, x, c);
                /* rounding, and rows that are added up in 128ths, of which half a one is lost or
                 * given back for each of up to four */
                if (fabs(*at++ - expected) > 0.5 + 4 * 0.5 / 128)
                    fail_msg("%d x %d: %d at %d %d %d, and %f is right", height, width, at[-1], y,
                             x, c, expected);
            }
}

static void resizing_is_what_the_definition_says(void **state) {
    (void)state;
    enum { HEIGHT = 37, WIDTH = 29, STRIDE = 100 };
    uint8_t pixels[HEIGHT * STRIDE];
    struct random_sequence sequence = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    for (int i = 0; i < HEIGHT * STRIDE; i++)
        pixels[i] = (uint8_t)random_below(&sequence, 256);
    for (int n = 0; n < 200; n++) {
        double top = HEIGHT * random_uniform(&sequence), left = WIDTH * random_uniform(&sequence);
        struct picture_window window = {.pixels = pixels,
                                        .stride = STRIDE,
                                        .height = HEIGHT,
                                        .width = WIDTH,
                                        .channels = n % 2 ? 1 : 3,
                                        .box = {.top = top, .left = left}};
        window.box.height = fmax(0.2, (HEIGHT - top) * random_uniform(&sequence));
        window.box.width = fmax(0.2, (WIDTH - left) * random_uniform(&sequence));
        window.box.top = fmin(top, HEIGHT - window.box.height);
        window.box.left = fmin(left, WIDTH - window.box.width);
        assert_defined(&window, 1 + (int)random_below(&sequence, 40),
                       1 + (int)random_below(&sequence, 40));
    }
}

static void equal_sizes_change_nothing(void **state) {
    (void)state;
    struct picture_window window = vector_window(vector_named("picture"));
    resize(&window, window.height, window.width, false);
    assert_memory_equal(made, window.pixels, window.stride * (size_t)window.height);
}

static void resizing_is_pillows(void **state) {
    (void)state;
    const struct named_tensor *boxes = vector_named("boxes");
    for (int n = 0; n < boxes->shape[0]; n++) {
        const double *box = (const double *)boxes->data + 6 * n;
        const struct named_tensor *expected = vector_named("resized.%d", n);
        struct picture_window window = vector_window(vector_named("picture"));
        int height = (int)box[4], width = (int)box[5], sum = 0;
        window.box = (struct picture_box){box[0], box[1], box[2], box[3]};
        assert_int_equal(expected->shape[0], height);
        assert_int_equal(expected->shape[1], width);
        resize(&window, height, width, false);
        for (int i = 0; i < height * width * 3; i++) {
            int difference = abs(made[i] - ((const uint8_t *)expected->data)[i]);
            assert_in_range(difference, 0, 1); /* it rounds between rows and columns, too */
            sum += difference;
        }
        /* which moves a value by up to 1/2, on average by 1/4 at most: so often is the last
         * rounding another one; one more for few pixels */
        assert_true(sum <= 0.25 * height * width * 3 + 1);
    }
}

static void mirrored_is_the_other_way_round(void **state) {
    (void)state;
    enum { HEIGHT = 31, WIDTH = 24 };
    static uint8_t plain[HEIGHT * WIDTH * 3];
    struct picture_window window = vector_window(vector_named("picture"));
    window.box = (struct picture_box){3.25, 10.5, 40, 31.25};
    resize(&window, HEIGHT, WIDTH, false);
    memcpy(plain, made, sizeof plain);
    resize(&window, HEIGHT, WIDTH, true);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            assert_memory_equal(made + (y * WIDTH + x) * 3, plain + (y * WIDTH + WIDTH - 1 - x) * 3,
                                3);
}

static void refused_memory_is_survived(void **state) {
    (void)state;
    struct resampler resampler = {0};
    struct picture_window window = vector_window(vector_named("picture"));
    assert_int_equal(resample(&resampler, &window, 5, 5, false, made), STATUS_OK);
    allocate_fail_at(1); /* for a larger one */
    assert_int_equal(resample(&resampler, &window, 50, 50, false, made), STATUS_FAILED);
    assert_non_null(strstr(failure(), "no memory"));
    allocate_fail_at(0);
    failure_clear();
    assert_int_equal(resample(&resampler, &window, 50, 50, false, made), STATUS_OK);
    resampler_release(&resampler);
}

static int release(void **state) {
    (void)state;
    vectors_release();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizing_is_what_the_definition_says),
        cmocka_unit_test(equal_sizes_change_nothing),
        cmocka_unit_test(resizing_is_pillows),
        cmocka_unit_test(mirrored_is_the_other_way_round),
        cmocka_unit_test(refused_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
