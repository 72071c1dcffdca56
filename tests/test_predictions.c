/* The tables of an evaluation against counting by definition, and against a case worked by hand. */
#include "support/base64.h"
#include "support/file.h"
#include "support/memory.h"
#include "support/random.h"
#include "support/safetensors.h"
#include "support_folder.h"
#include "training/evaluation_file.h"
#include "training/predictions.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 300, CLASSES = 7 };

static void begin(struct predictions *predictions) {
    uint16_t labels[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        labels[i] = (uint16_t)(i * 5 % (CLASSES - 1)); /* the last class has no image */
    assert_int_equal(predictions_create(predictions, IMAGES, CLASSES, labels), STATUS_OK);
    struct random_sequence sequence = random_sequence(3, RANDOM_AUGMENT, 0, 0);
    for (int i = 0; i < IMAGES * CLASSES; i++)
        predictions->logits[i] = (real)(8 * random_uniform(&sequence) - 4);
    for (int i = 0; i < IMAGES; i += 7) /* ties */
        predictions->logits[i * CLASSES + 2] = predictions->logits[i * CLASSES + 4] = 5;
}

static double probability(const struct predictions *predictions, int image, int class) {
    const real *row = predictions->logits + image * CLASSES;
    double sum = 0;
    for (int c = 0; c < CLASSES; c++)
        sum += exp((double)row[c]);
    return exp((double)row[class]) / sum;
}

/* The class with the n-th largest logit, the first one first: by sorting. */
static int class_at(const struct predictions *predictions, int image, int n) {
    const real *row = predictions->logits + image * CLASSES;
    int order[CLASSES];
    for (int c = 0; c < CLASSES; c++) {
        int at = c;
        for (; at > 0 && row[c] > row[order[at - 1]]; at--)
            order[at] = order[at - 1];
        order[at] = c;
    }
    return order[n];
}

static void tables_count_by_definition(void **state) {
    (void)state;
    struct predictions predictions;
    struct tables tables;
    int top1 = 0, top5 = 0, confusion[CLASSES][CLASSES] = {0}, cells[CLASSES][CLASSES];
    double loss = 0;
    begin(&predictions);
    assert_int_equal(tables_make(&tables, &predictions), STATUS_OK);
    for (int i = 0; i < IMAGES; i++) {
        int label = (int)predictions.labels[i], first = class_at(&predictions, i, 0);
        top1 += first == label;
        for (int n = 0; n < 5; n++)
            top5 += class_at(&predictions, i, n) == label;
        confusion[label][first]++;
        loss -= log(probability(&predictions, i, label));
    }
    assert_int_equal(tables.top1, top1);
    assert_int_equal(tables.top5, top5);
    assert_true(top1 > 0 && top1 < top5 && top5 < IMAGES);
    tables_matrix(&tables, &cells[0][0]);
    assert_memory_equal(cells, confusion, sizeof confusion);
    assert_true(fabs(tables.loss - loss / IMAGES) < 1e-12 * IMAGES);
    assert_int_equal(tables.of_class[0].images, IMAGES / (CLASSES - 1));
    assert_int_equal(tables.of_class[0].correct, confusion[0][0]);
    assert_int_equal(tables.of_class[CLASSES - 1].images, 0);
    for (int i = 1; i < tables.confusion_count; i++)
        assert_true(tables.confusions[i - 1].images >= tables.confusions[i].images);
    tables_release(&tables);
    predictions_release(&predictions);
}

/* No image outside the list has a smaller probability of its class than one within. */
static void the_hardest_are_the_least_probable(void **state) {
    (void)state;
    struct predictions predictions;
    struct tables tables;
    bool listed[IMAGES] = {false};
    begin(&predictions);
    assert_int_equal(tables_make(&tables, &predictions), STATUS_OK);
    assert_int_equal(tables.hardest_count, MOST_HARDEST);
    double last = 0;
    for (int n = 0; n < MOST_HARDEST; n++) {
        const struct hard_image *hard = &tables.hardest[n];
        int label = (int)predictions.labels[hard->image];
        double expected = probability(&predictions, hard->image, label);
        assert_false(listed[hard->image]);
        listed[hard->image] = true;
        assert_int_equal(hard->label, label);
        assert_int_equal(hard->predicted, class_at(&predictions, hard->image, 0));
        assert_true(fabs(hard->label_probability - expected) < 1e-12);
        assert_true(fabs(hard->probability -
                         probability(&predictions, hard->image, hard->predicted)) < 1e-12);
        assert_true(expected >= last - 1e-12);
        last = expected;
    }
    for (int i = 0; i < IMAGES; i++)
        if (!listed[i])
            assert_true(probability(&predictions, i, (int)predictions.labels[i]) >= last - 1e-12);
    tables_release(&tables);
    predictions_release(&predictions);
}

/* Fewer images and classes than the tables ask for; logits that overflow an exponential. */
static void small_and_extreme(void **state) {
    (void)state;
    struct predictions predictions;
    struct tables tables;
    const uint16_t labels[] = {0, 1};
    const real logits[] = {2000, -2000, 2000, -2000};
    assert_int_equal(predictions_create(&predictions, 2, 2, labels), STATUS_OK);
    memcpy(predictions.logits, logits, sizeof logits);
    assert_int_equal(tables_make(&tables, &predictions), STATUS_OK);
    assert_int_equal(tables.top1, 1);
    assert_int_equal(tables.top5, 2);
    assert_int_equal(tables.hardest_count, 2);
    assert_int_equal(tables.hardest[0].image, 1);
    assert_true(tables.hardest[0].loss == 4000 && tables.hardest[0].label_probability == 0);
    assert_true(tables.hardest[1].loss == 0 && tables.loss == 2000);
    tables_release(&tables);
    predictions.logits[3] = (real)NAN;
    assert_int_equal(tables_make(&tables, &predictions), STATUS_FAILED);
    assert_non_null(strstr(failure(), "image 1 has logits that are not finite"));
    failure_clear();
    tables_release(&tables);
    predictions_release(&predictions);
}

enum { FEW_IMAGES = 60 };

/* Image i is of the class that is 7 i from the last; every third is taken for class i % 5. */
static void begin_many(struct predictions *predictions, int classes) {
    uint16_t labels[FEW_IMAGES];
    for (int i = 0; i < FEW_IMAGES; i++)
        labels[i] = (uint16_t)(classes - 1 - 7 * (i / 6));
    assert_int_equal(predictions_create(predictions, FEW_IMAGES, classes, labels), STATUS_OK);
    for (int i = 0; i < FEW_IMAGES; i++)
        predictions
            ->logits[(size_t)i * (size_t)classes + (size_t)(i % 3 == 0 ? i / 6 % 5 : labels[i])] =
            9;
}

static json_t *evaluation_of(const struct tables *tables, size_t *size) {
    uint8_t pixels[FEW_IMAGES] = {0};
    const struct data_config data = {.class_name_count = 0};
    const struct class_names numbers = {.config = &data};
    const struct pictures pictures = {
        .count = FEW_IMAGES, .height = 1, .width = 1, .channels = 1, .pixels = pixels};
    const char *path = test_path("evaluation.json");
    char *text;
    json_error_t error;
    assert_int_equal(evaluation_write(path, "found", tables, &numbers, &pictures), STATUS_OK);
    assert_int_equal(file_read(path, 1 << 24, &text, size), STATUS_OK);
    json_t *json = json_loadb(text, *size, 0, &error);
    assert_non_null(json);
    free(text);
    return json;
}

/* As many classes as labels can tell apart: a matrix of them would take 17 GB. */
static void many_classes(void **state) {
    (void)state;
    static const int counts[] = {MOST_MATRIX_CLASSES, MOST_MATRIX_CLASSES + 1, 1000, MOST_CLASSES};
    test_folder("predictions");
    for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
        struct predictions predictions;
        struct tables tables;
        size_t size;
        begin_many(&predictions, counts[n]);
        assert_int_equal(tables_make(&tables, &predictions), STATUS_OK);
        assert_int_equal(tables.top1, FEW_IMAGES * 2 / 3);
        assert_int_equal(tables.confusion_count, FEW_IMAGES / 6); /* a pair for each label */
        assert_int_equal(tables.of_class[counts[n] - 1].correct, 4);
        json_t *json = evaluation_of(&tables, &size);
        json_t *matrix = json_object_get(json, "confusion");
        json_t *confused = json_object_get(json, "confused"), *first = json_array_get(confused, 0);
        assert_true(json_is_null(matrix) == (counts[n] > MOST_MATRIX_CLASSES));
        assert_int_equal(json_array_size(confused), FEW_IMAGES / 6);
        assert_int_equal(json_integer_value(json_object_get(first, "images")), 2);
        assert_int_equal(json_integer_value(json_object_get(first, "label")),
                         counts[n] - 1 - 7 * 9);
        assert_int_equal(json_integer_value(json_object_get(first, "predicted")), 9 % 5);
        assert_true(size < 40000 + 80 * (size_t)counts[n]); /* a line per class */
        json_decref(json);
        tables_release(&tables);
        predictions_release(&predictions);
    }
}

/* However many are confused, the file holds the first of them. */
static void confusions_of_all_kinds(void **state) {
    (void)state;
    enum { ALL = 3 * MOST_CONFUSED };
    struct confusion *list;
    struct class_count of_class[MOST_MATRIX_CLASSES] = {0};
    struct random_sequence sequence = random_sequence(5, RANDOM_AUGMENT, 0, 0);
    size_t size;
    assert_int_equal(allocate(&list, ALL, sizeof *list, "confusions"), STATUS_OK);
    for (int i = 0; i < ALL; i++) {
        int label = (int)random_below(&sequence, MOST_MATRIX_CLASSES);
        list[i] = (struct confusion){label, (label + 1 + i % 40) % MOST_MATRIX_CLASSES, 1};
    }
    struct tables tables = {.images = ALL,
                            .classes = MOST_MATRIX_CLASSES,
                            .of_class = of_class,
                            .confusion_count = confusions_merge(list, ALL),
                            .confusions = list};
    int images = 0;
    for (int i = 0; i < tables.confusion_count; i++)
        images += list[i].images;
    assert_int_equal(images, ALL);
    assert_true(tables.confusion_count > MOST_CONFUSED && tables.confusion_count < ALL);
    test_folder("predictions");
    json_t *json = evaluation_of(&tables, &size);
    assert_int_equal(json_array_size(json_object_get(json, "confused")), MOST_CONFUSED);
    json_decref(json);
    free(list);
}

static void a_file_of_predictions(void **state) {
    (void)state;
    struct predictions predictions;
    struct safetensors file;
    real logits[IMAGES * CLASSES];
    int64_t labels[IMAGES];
    test_folder("predictions");
    const char *path = test_path("predictions.safetensors");
    begin(&predictions);
    assert_int_equal(predictions_write(&predictions, path, "found-3"), STATUS_OK);
    assert_int_equal(safetensors_read(&file, path), STATUS_OK);
    assert_string_equal(safetensors_metadata(&file, "network"), "found-3");
    assert_int_equal(safetensors_copy(&file, path, "logits", TENSOR_F32, 2,
                                      (int64_t[]){IMAGES, CLASSES}, logits),
                     STATUS_OK);
    assert_int_equal(
        safetensors_copy(&file, path, "labels", TENSOR_I64, 1, (int64_t[]){IMAGES}, labels),
        STATUS_OK);
    assert_memory_equal(logits, predictions.logits, sizeof logits);
    assert_memory_equal(labels, predictions.labels, sizeof labels);
    safetensors_release(&file);
    predictions_release(&predictions);
}

/* The vectors of RFC 4648, section 10, and the two last letters. */
static void base64(void **state) {
    (void)state;
    static const struct {
        const char *data, *text;
    } vectors[] = {{"", "x:"},
                   {"f", "x:Zg=="},
                   {"fo", "x:Zm8="},
                   {"foo", "x:Zm9v"},
                   {"foob", "x:Zm9vYg=="},
                   {"fooba", "x:Zm9vYmE="},
                   {"foobar", "x:Zm9vYmFy"},
                   {"\xff\xef\xbe", "x:/+++"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char *text;
        const char *data = vectors[i].data;
        assert_int_equal(base64_text(&text, "x:", (const uint8_t *)data, strlen(data)), STATUS_OK);
        assert_string_equal(text, vectors[i].text);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_count_by_definition),
        cmocka_unit_test(the_hardest_are_the_least_probable),
        cmocka_unit_test(small_and_extreme),
        cmocka_unit_test(many_classes),
        cmocka_unit_test(confusions_of_all_kinds),
        cmocka_unit_test(a_file_of_predictions),
        cmocka_unit_test(base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
