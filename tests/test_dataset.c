/* Data sets: the real Fashion-MNIST where it is installed, files of the test's own, every kind of
 * damage to them, and the balanced split. */
#include "data/split.h"
#include "support/memory.h"
#include "support_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define FASHION_MNIST "/usr/share/datasets/fashion-mnist"

enum { COUNT = 20, HEIGHT = 5, WIDTH = 4, CLASSES = 7, PICTURE = HEIGHT * WIDTH };
enum { IMAGES, LABELS };

static const char *const file_names[] = {"train-images-idx3-ubyte.gz",
                                         "train-labels-idx1-ubyte.gz"};

struct bytes {
    size_t size;
    uint8_t data[1000];
};

static uint8_t pixel_of(int image, int pixel) {
    return (uint8_t)(image * 37 + pixel * pixel * 11);
}

static uint8_t label_of(int image) {
    return (uint8_t)(image * 3 % CLASSES);
}

static struct bytes plain_file(int file) {
    struct bytes images = {16 + COUNT * PICTURE,
                           {0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH}};
    struct bytes labels = {8 + COUNT, {0, 0, 8, 1, 0, 0, 0, COUNT}};
    for (int image = 0; image < COUNT; image++) {
        labels.data[8 + image] = label_of(image);
        for (int pixel = 0; pixel < PICTURE; pixel++)
            images.data[16 + image * PICTURE + pixel] = pixel_of(image, pixel);
    }
    return file == IMAGES ? images : labels;
}

static struct bytes gzip(const struct bytes *plain) {
    struct bytes packed;
    z_stream stream = {.next_in = (uint8_t *)plain->data,
                       .avail_in = (uInt)plain->size,
                       .next_out = packed.data,
                       .avail_out = sizeof packed.data};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.size = stream.total_out;
    deflateEnd(&stream);
    return packed;
}

static struct data_config config_of_folder(void) {
    struct data_config config = {.source = "idx"};
    snprintf(config.folder, sizeof config.folder, "%s", test_folder("test_dataset"));
    return config;
}

static void write_file(int file, const struct bytes *packed) {
    test_write(file_names[file], packed->data, packed->size);
}

static void write_good_files(void) {
    for (int file = IMAGES; file <= LABELS; file++) {
        struct bytes plain = plain_file(file), packed = gzip(&plain);
        write_file(file, &packed);
    }
}

static void assert_empty(const struct pictures *pictures) {
    assert_null(pictures->pixels);
    assert_null(pictures->labels);
    assert_int_equal(pictures->count, 0);
}

static void assert_refused(const struct data_config *config, enum data_part part, const char *first,
                           const char *second) {
    struct pictures pictures = {.count = -1};
    assert_int_equal(pictures_load(&pictures, config, part), STATUS_USAGE);
    if (strstr(failure(), first) == NULL || strstr(failure(), second) == NULL)
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", failure(), first, second);
    assert_empty(&pictures);
    failure_clear();
}

static void fashion_mnist_is_what_its_authors_say(void **state) {
    (void)state;
    struct data_config config = {.source = "idx", .folder = FASHION_MNIST};
    struct pictures pictures;
    if (access(FASHION_MNIST, F_OK) != 0) {
        print_message("skipped: Debian's package dataset-fashion-mnist is not installed\n");
        skip();
    }
    const uint16_t first_labels[2][10] = {{9, 0, 0, 3, 0, 2, 7, 2, 5, 5},
                                          {9, 2, 1, 1, 6, 1, 4, 6, 5, 7}};
    for (int part = DATA_TRAIN; part <= DATA_TEST; part++) {
        assert_int_equal(pictures_load(&pictures, &config, (enum data_part)part), STATUS_OK);
        assert_int_equal(pictures.count, part == DATA_TRAIN ? 60000 : 10000);
        assert_int_equal(pictures.height, 28);
        assert_int_equal(pictures.width, 28);
        assert_int_equal(pictures.channels, 1);
        assert_int_equal(pictures.classes, 10);
        assert_memory_equal(pictures.labels, first_labels[part], sizeof first_labels[part]);
        int images_of[10] = {0};
        for (int image = 0; image < pictures.count; image++)
            images_of[pictures.labels[image]]++;
        for (int label = 0; label < 10; label++)
            assert_int_equal(images_of[label], pictures.count / 10);
        if (part == DATA_TRAIN) { /* mean and deviation that everybody normalises with */
            double sum = 0, squares = 0, n = (double)pictures.count * 784;
            for (size_t i = 0; i < (size_t)pictures.count * 784; i++) {
                double value = pictures.pixels[i] / 255.0;
                sum += value;
                squares += value * value;
            }
            assert_true(fabs(sum / n - 0.2860) < 1e-4);
            assert_true(fabs(sqrt(squares / n - sum / n * sum / n) - 0.3530) < 1e-4);
        }
        pictures_release(&pictures);
    }
}

static void files_are_read_as_they_are(void **state) {
    (void)state;
    struct data_config config = config_of_folder();
    struct pictures pictures;
    write_good_files();
    assert_int_equal(pictures_load(&pictures, &config, DATA_TRAIN), STATUS_OK);
    assert_int_equal(pictures.count, COUNT);
    assert_int_equal(pictures.height, HEIGHT);
    assert_int_equal(pictures.width, WIDTH);
    assert_int_equal(pictures.channels, 1);
    assert_int_equal(pictures.classes, CLASSES);
    for (int image = 0; image < COUNT; image++) {
        assert_int_equal(pictures.labels[image], label_of(image));
        for (int pixel = 0; pixel < PICTURE; pixel++)
            assert_int_equal(pictures.pixels[image * PICTURE + pixel], pixel_of(image, pixel));
    }
    pictures_release(&pictures);
    assert_empty(&pictures);
}

static void configuration_is_obeyed(void **state) {
    (void)state;
    struct data_config config = config_of_folder();
    struct pictures pictures;
    write_good_files();
    config.classes = 12;
    assert_int_equal(pictures_load(&pictures, &config, DATA_TRAIN), STATUS_OK);
    assert_int_equal(pictures.classes, 12);
    pictures_release(&pictures);
    config.classes = CLASSES - 1;
    assert_refused(&config, DATA_TRAIN, file_names[LABELS],
                   "image 2 has label 6, but data.classes is 6");
    config.classes = 0;
    assert_refused(&config, DATA_TEST, "t10k-images-idx3-ubyte.gz", "does not exist");
    for (int file = IMAGES; file <= LABELS; file++) {
        struct bytes plain = plain_file(file), packed = gzip(&plain);
        char name[64];
        snprintf(name, sizeof name, "t10k%s", file_names[file] + strlen("train"));
        test_write(name, packed.data, packed.size);
    }
    config.test_images = 3;
    assert_int_equal(pictures_load(&pictures, &config, DATA_TEST), STATUS_OK);
    assert_int_equal(pictures.count, 3);
    pictures_release(&pictures);
    config.test_images = COUNT + 1;
    assert_refused(&config, DATA_TEST, "data.test_images is 21", "only 20 test images");
    assert_int_equal(pictures_load(&pictures, &config, DATA_TRAIN), STATUS_OK);
    pictures_release(&pictures);
    snprintf(config.source, sizeof config.source, "magic");
    assert_refused(&config, DATA_TRAIN, "\"magic\"", "\"idx\"");
}

/* Places count from the end of the file where negative. */
enum edit_kind { NO_EDIT, CUT_TO, SET, APPEND, REPEAT_TRAILER };
struct edit {
    enum edit_kind kind;
    int at;
    uint8_t value;
};
struct damage {
    const char *sentence;
    int file;
    struct edit plain[2];  /* before compression */
    struct edit packed[1]; /* after it */
};

static const struct damage damages[] = {
    {"is truncated, damaged", IMAGES, {{0}}, {{CUT_TO, -1, 0}}},
    {"is truncated, damaged", IMAGES, {{0}}, {{CUT_TO, 100, 0}}},
    {"is truncated or damaged", IMAGES, {{0}}, {{CUT_TO, 15, 0}}},
    {"is truncated or damaged", LABELS, {{0}}, {{CUT_TO, 10, 0}}},
    {"is not a gzip file", LABELS, {{0}}, {{CUT_TO, 5, 0}}},
    {"is not a gzip file", IMAGES, {{0}}, {{CUT_TO, 0, 0}}},
    {"is not a gzip file", IMAGES, {{0}}, {{SET, 0, 'P'}}},
    {"incorrect data check", IMAGES, {{0}}, {{SET, -8, 1}}},
    {"incorrect data check", LABELS, {{0}}, {{SET, -8, 1}}},
    {"bytes behind its end", IMAGES, {{0}}, {{APPEND, 0, 7}}},
    {"has 8 bytes behind the end of its gzip data", LABELS, {{0}}, {{REPEAT_TRAILER, 0, 0}}},
    {"starts with 00000801", IMAGES, {{SET, 3, 1}}, {{0}}},
    {"starts with 00000903", IMAGES, {{SET, 2, 9}}, {{0}}},
    {"starts with 00000803", LABELS, {{SET, 3, 3}}, {{0}}},
    {"is truncated or damaged: its data end too early", IMAGES, {{CUT_TO, 12, 0}}, {{0}}},
    {"announces a size of 0", IMAGES, {{SET, 7, 0}}, {{0}}},
    {"announces a size of 0", IMAGES, {{SET, 15, 0}}, {{0}}},
    {"announces a size of 65541", IMAGES, {{SET, 9, 1}}, {{0}}},
    {"announces more than", IMAGES, {{SET, 4, 255}}, {{0}}},
    {"its header announces 436 bytes, its end 416", IMAGES, {{SET, 7, COUNT + 1}}, {{0}}},
    {"its header announces 396 bytes, its end 416", IMAGES, {{SET, 7, COUNT - 1}}, {{0}}},
    {"its header announces 416 bytes, its end 417", IMAGES, {{APPEND, 0, 1}}, {{0}}},
    {"its header announces 416 bytes, its end 415", IMAGES, {{CUT_TO, -1, 0}}, {{0}}},
    {"its header announces 268435476 bytes", LABELS, {{SET, 4, 16}, {SET, 7, 12}}, {{0}}},
    /* the end of the gzip data lies as well */
    {"incorrect length check", IMAGES, {{SET, 11, HEIGHT + 1}}, {{SET, -4, 240}}}, /* 496 bytes */
    {"has 21 labels", LABELS, {{SET, 7, COUNT + 1}}, {{SET, -4, 8 + COUNT + 1}}},
    {"announces 1311136 bytes", IMAGES, {{SET, 5, 1}}, {{SET, -2, 0x14}}},
    {"has more bytes than its header announces", LABELS, {{APPEND, 0, 1}}, {{SET, -4, 8 + COUNT}}},
    {"has 19 labels", LABELS, {{CUT_TO, -1, 0}, {SET, 7, COUNT - 1}}, {{0}}},
};

static void apply(struct bytes *bytes, const struct edit *edit) {
    size_t at = edit->at >= 0 ? (size_t)edit->at : bytes->size - (size_t)-edit->at;
    if (edit->kind == CUT_TO)
        bytes->size = at;
    else if (edit->kind == SET)
        bytes->data[at] = edit->value;
    else if (edit->kind == APPEND)
        bytes->data[bytes->size++] = edit->value;
    else if (edit->kind == REPEAT_TRAILER) {
        memcpy(bytes->data + bytes->size, bytes->data + bytes->size - 8, 8);
        bytes->size += 8;
    }
}

static void every_damage_has_its_sentence(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const struct damage *damage = &damages[i];
        struct data_config config = config_of_folder();
        write_good_files();
        struct bytes plain = plain_file(damage->file);
        apply(&plain, &damage->plain[0]);
        apply(&plain, &damage->plain[1]);
        struct bytes packed = gzip(&plain);
        apply(&packed, &damage->packed[0]);
        write_file(damage->file, &packed);
        assert_refused(&config, DATA_TRAIN, file_names[damage->file], damage->sentence);
    }
}

/* Whatever byte is hit: refused, or (in gzip's own notes, like the date) without effect. */
static void no_changed_byte_passes_unnoticed(void **state) {
    (void)state;
    struct data_config config = config_of_folder();
    struct bytes plain = plain_file(IMAGES), packed = gzip(&plain);
    int refused = 0;
    write_good_files();
    for (size_t at = 0; at < packed.size; at++) {
        struct bytes changed = packed;
        struct pictures pictures;
        changed.data[at] ^= (uint8_t)(1u << at % 8);
        write_file(IMAGES, &changed);
        if (pictures_load(&pictures, &config, DATA_TRAIN) == STATUS_OK) {
            assert_memory_equal(pictures.pixels, plain.data + 16, COUNT * PICTURE);
            pictures_release(&pictures);
        } else {
            refused++;
        }
        failure_clear();
    }
    assert_true(refused >= (int)packed.size - 10); /* gzip's header has 10 bytes */
}

/* 10 MB of equal pixels in 10 kB, and no lie in it: the labels do not agree, and this is seen
 * before memory is taken for it. */
static void a_bomb_takes_no_memory(void **state) {
    (void)state;
    enum { MEGABYTES = 10 };
    static uint8_t megabyte[1 << 20];
    struct data_config config = config_of_folder();
    const uint8_t header[16] = {0, 0, 8, 3, 0, MEGABYTES, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4};
    write_good_files();
    gzFile file = gzopen(test_path(file_names[IMAGES]), "wb9");
    assert_int_equal(gzwrite(file, header, sizeof header), sizeof header);
    for (int i = 0; i < MEGABYTES; i++)
        assert_int_equal(gzwrite(file, megabyte, sizeof megabyte), sizeof megabyte);
    assert_int_equal(gzclose(file), Z_OK);
    allocate_fail_at(3); /* two are the files as they are */
    assert_refused(&config, DATA_TRAIN, file_names[IMAGES], "has 655360 images");
    allocate_fail_at(0);
}

static void missing_memory_has_a_sentence(void **state) {
    (void)state;
    struct data_config config = config_of_folder();
    struct pictures pictures;
    write_good_files();
    for (int call = 1; call <= 5;
         call++) { /* the two files, what is in them, the labels as numbers */
        allocate_fail_at(call);
        assert_int_equal(pictures_load(&pictures, &config, DATA_TRAIN), STATUS_FAILED);
        assert_non_null(strstr(failure(), "no memory"));
        assert_empty(&pictures);
        failure_clear();
    }
    allocate_fail_at(0);
}

/* 997 pictures of uneven classes: class 0 is rarest. */
enum { SPLIT_IMAGES = 997, SPLIT_CLASSES = 4 };
static uint16_t split_labels[SPLIT_IMAGES];
static const struct pictures split_pictures = {
    .count = SPLIT_IMAGES, .classes = SPLIT_CLASSES, .labels = split_labels};

static int make_labels(void **state) {
    (void)state;
    failure_clear();
    for (int image = 0; image < SPLIT_IMAGES; image++)
        split_labels[image] = (uint16_t)(image % 7 % 4 == 0 ? image % 2 * 3 : 1 + image % 7 % 3);
    return 0;
}

static void count_classes(const int *list, int count, int *counts) {
    memset(counts, 0, SPLIT_CLASSES * sizeof *counts);
    for (int i = 0; i < count; i++)
        counts[split_labels[list[i]]]++;
}

static void assert_balanced(const int *list, int count, int expected) {
    int counts[SPLIT_CLASSES];
    assert_int_equal(count, expected);
    count_classes(list, count, counts);
    for (int label = 0; label < SPLIT_CLASSES; label++)
        assert_in_range(counts[label], expected / SPLIT_CLASSES,
                        expected / SPLIT_CLASSES + (expected % SPLIT_CLASSES != 0));
}

static void assert_in_file_order(const int *list, int count) {
    for (int i = 1; i < count; i++)
        assert_true(list[i] > list[i - 1]);
}

static void split_is_balanced_and_disjoint(void **state) {
    (void)state;
    const int holdouts[] = {0, 1, 3, 100, 102, 200}, trains[] = {0, 1, 50, 203};
    for (size_t h = 0; h < 6; h++) {
        for (size_t t = 0; t < 4; t++) {
            struct data_config config = {.holdout_images = holdouts[h], .train_images = trains[t]};
            struct split split;
            uint8_t seen[SPLIT_IMAGES] = {0};
            assert_int_equal(split_make(&split, &split_pictures, &config, 1), STATUS_OK);
            assert_balanced(split.holdout, split.holdout_count, holdouts[h]);
            if (trains[t] > 0)
                assert_balanced(split.train, split.train_count, trains[t]);
            else
                assert_int_equal(split.train_count, SPLIT_IMAGES - holdouts[h]);
            assert_in_file_order(split.train, split.train_count);
            assert_in_file_order(split.holdout, split.holdout_count);
            for (int i = 0; i < split.train_count; i++)
                assert_int_equal(seen[split.train[i]]++, 0);
            for (int i = 0; i < split.holdout_count; i++)
                assert_int_equal(seen[split.holdout[i]]++, 0);
            split_release(&split);
            assert_null(split.train);
        }
    }
}

static void split_depends_on_the_seed_alone(void **state) {
    (void)state;
    struct data_config config = {.holdout_images = 100}, fewer = config;
    struct split first, again, other, small;
    fewer.train_images = 60;
    assert_int_equal(split_make(&first, &split_pictures, &config, 5), STATUS_OK);
    assert_int_equal(split_make(&again, &split_pictures, &config, 5), STATUS_OK);
    assert_int_equal(split_make(&other, &split_pictures, &config, 6), STATUS_OK);
    assert_int_equal(split_make(&small, &split_pictures, &fewer, 5), STATUS_OK);
    assert_memory_equal(first.holdout, again.holdout, 100 * sizeof(int));
    assert_memory_equal(first.train, again.train, (size_t)first.train_count * sizeof(int));
    assert_memory_not_equal(first.holdout, other.holdout, 100 * sizeof(int));
    assert_memory_equal(first.holdout, small.holdout, 100 * sizeof(int));
    /* Drawn from the whole file: the middle of 100 draws is near its middle (5 deviations). */
    assert_in_range(first.holdout[50], SPLIT_IMAGES / 4, SPLIT_IMAGES * 3 / 4);
    split_release(&first);
    split_release(&again);
    split_release(&other);
    split_release(&small);
}

/* Classes 0 and 1 take turns in the file: the same draw for both would take neighbours. */
static void classes_are_drawn_independently(void **state) {
    (void)state;
    uint16_t turns[200];
    const struct pictures two = {.count = 200, .classes = 2, .labels = turns};
    struct split split;
    int neighbours = 0;
    for (int image = 0; image < 200; image++)
        turns[image] = (uint16_t)(image % 2);
    assert_int_equal(split_make(&split, &two, &(struct data_config){.holdout_images = 40}, 1),
                     STATUS_OK);
    for (int i = 0; i + 1 < 40; i++)
        neighbours += split.holdout[i] % 2 == 0 && split.holdout[i + 1] == split.holdout[i] + 1;
    assert_true(neighbours < 12); /* 4 of 20 are expected */
    split_release(&split);
}

static void impossible_splits_are_refused(void **state) {
    (void)state;
    const struct {
        int holdout, train;
        const char *sentence;
    } cases[] = {{SPLIT_IMAGES, 0, "class 0 has only"},
                 {100, SPLIT_IMAGES - 100, "class 0 has only"},
                 {2000000000, 2000000000, "data.holdout_images needs 500000000"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_config config = {.holdout_images = cases[i].holdout,
                                     .train_images = cases[i].train};
        struct split split;
        assert_int_equal(split_make(&split, &split_pictures, &config, 1), STATUS_USAGE);
        assert_non_null(strstr(failure(), cases[i].sentence));
        assert_null(split.train);
        assert_null(split.holdout);
        failure_clear();
    }
    uint16_t labels[] = {0, 1, 0, 1};
    struct pictures four = {.count = 4, .classes = 2, .labels = labels};
    struct split split;
    assert_int_equal(split_make(&split, &four, &(struct data_config){.holdout_images = 4}, 1),
                     STATUS_USAGE);
    assert_non_null(strstr(failure(), "leaves no image to train with"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fashion_mnist_is_what_its_authors_say),
        cmocka_unit_test(files_are_read_as_they_are),
        cmocka_unit_test(configuration_is_obeyed),
        cmocka_unit_test(every_damage_has_its_sentence),
        cmocka_unit_test(no_changed_byte_passes_unnoticed),
        cmocka_unit_test(a_bomb_takes_no_memory),
        cmocka_unit_test(missing_memory_has_a_sentence),
        cmocka_unit_test_setup(split_is_balanced_and_disjoint, make_labels),
        cmocka_unit_test_setup(split_depends_on_the_seed_alone, make_labels),
        cmocka_unit_test(classes_are_drawn_independently),
        cmocka_unit_test_setup(impossible_splits_are_refused, make_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
