/* Reports: what a folder says is read as it stands, results of other keys do not count, texts of
 * files are shown and not obeyed, and a damaged folder leaves the page as it was. */
#include "network/subnetwork_json.h"
#include "report/html.h"
#include "report/plot.h"
#include "report/record_read.h"
#include "report/report.h"
#include "support/file.h"
#include "support_folder.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *folder;

/* A folder with the smoke configuration, and the hash of its search. */
static void make_folder(char hash[17]) {
    struct config config;
    uint64_t number;
    folder = test_folder("report");
    assert_int_equal(config_read(&config, TAPER_SOURCE_DIR "/configs/smoke.yaml", NULL, 0),
                     STATUS_OK);
    assert_int_equal(config_write(&config, test_path("config.yaml")), STATUS_OK);
    assert_int_equal(config_hash(&config, STEP_SEARCH, &number), STATUS_OK);
    snprintf(hash, 17, "%016" PRIx64, number);
    config_release(&config);
}

static void write_text(const char *name, const char *text) {
    test_write(name, text, strlen(text));
}

/* A line of search.jsonl: the smallest sub-network or the largest. */
static void add_sample(FILE *file, int number, double macs, double score, bool chosen,
                       const char *hash) {
    struct config config;
    assert_int_equal(config_read(&config, test_path("config.yaml"), NULL, 0), STATUS_OK);
    struct subnetwork sub =
        number == 0 ? subnetwork_largest(&config.network) : subnetwork_smallest(&config.network);
    json_t *json = subnetwork_to_json(&config.network, &sub);
    char *text = json_dumps(json, 0);
    fprintf(file,
            "{\"number\": %d, \"iteration\": %d, \"subnetwork\": %s, \"metrics\": {\"macs\": %g}, "
            "\"score\": %g, \"chosen\": %s, \"config_hash\": \"%s\"}\n",
            number, number, text, macs, score, chosen ? "true" : "false", hash);
    free(text);
    json_decref(json);
    config_release(&config);
}

static void write_search(const char *hash) {
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    add_sample(file, 0, 357656, 0.5, true, hash);
    add_sample(file, 1, 100000, 0.25, false, hash);
    add_sample(file, 2, 120000, 0.75, true, hash);
    fclose(file);
    write_text("search.jsonl", text);
    free(text);
}

static void read_ok(struct run_record *record) {
    enum status status = record_read(record, folder);
    assert_string_equal(failure(), "");
    assert_int_equal(status, STATUS_OK);
}

static void test_searched(void **state) {
    (void)state;
    char hash[17];
    struct run_record record;
    make_folder(hash);
    write_search(hash);
    read_ok(&record);
    assert_int_equal(record.sample_count, 3);
    assert_true(record.samples[2].metrics[0] == 120000 && record.samples[2].score == 0.75);
    assert_true(record.budgets[0] == 0.6 * 357656 && record.initial[0] == 357656);
    assert_ptr_equal(record_best(&record), &record.samples[2]);
    assert_true(record.has_network && !record.search_done && isnan(record.test_accuracy));
    const struct layer *last = &record.network.layers[3]; /* block3 of the smallest: absent */
    assert_int_equal(record.network.choices[last->present].options[0], 0);
    record_release(&record);
}

static void test_of_other_keys(void **state) {
    (void)state;
    char hash[17];
    struct run_record record;
    make_folder(hash);
    hash[3] = hash[3] == '0' ? '1' : '0';
    write_search(hash);
    write_text("found.yaml", "# config_hash 0000000000000000\n");
    read_ok(&record);
    assert_int_equal(record.sample_count, 0);
    assert_false(record.has_network || record.search_done);
    record_release(&record);
}

/* What was repeated after a kill counts once. */
static void test_curve(void **state) {
    (void)state;
    static const int at[] = {10, 20, 30, 15, 25};
    char hash[17], text[2048] = "";
    struct run_record record;
    make_folder(hash);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "{\"event\": \"progress\", \"step\": \"train\", \"at\": %d, \"of\": 40, \"loss\": "
                 "%d, \"accuracy\": 0.5, \"learning_rate\": 1, \"images_per_second\": 9, "
                 "\"waiting\": 0}\n",
                 at[i], at[i] + 1);
    write_text("log.jsonl", text);
    read_ok(&record);
    assert_int_equal(record.train.count, 3);
    assert_true(record.train.points[0].at == 10 && record.train.points[1].at == 15 &&
                record.train.points[2].at == 25 && record.train.points[2].loss == 26);
    assert_int_equal(record.supernet.count, 0);
    record_release(&record);
}

/* One sentence that names the file, and the page stays. */
static void refuse(const char *name, const char *text, const char *sentence) {
    char hash[17], *page, path[600];
    size_t size;
    make_folder(hash);
    write_search(hash);
    write_text("report.html", "the old page");
    write_text(name, text);
    snprintf(path, sizeof path, "%s", test_path("report.html"));
    assert_int_equal(report_write(&folder, 1, path), STATUS_USAGE);
    if (strstr(failure(), name) == NULL || strstr(failure(), sentence) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", name, failure(), sentence);
    failure_clear();
    assert_int_equal(file_read(path, 1 << 20, &page, &size), STATUS_OK);
    assert_string_equal(page, "the old page");
    free(page);
}

static void test_damaged(void **state) {
    (void)state;
    char hash[17], line[256];
    make_folder(hash);
    snprintf(line, sizeof line, "{\"number\": 0, \"config_hash\": \"%s\"}\n", hash);
    refuse("search.jsonl", line, ":1: not a sample");
    refuse("search.jsonl", "{\n", ":1: not a JSON object");
    refuse("log.jsonl", "{\"event\": \"note\"}\n[1]\n", ":2: an object without");
    refuse("log.jsonl", "{\"event\": \"progress\", \"step\": \"train\", \"at\": \"x\"}\n",
           ":1: not a line of progress");
    refuse("times.json", "[1, 2]", "not a JSON object");
    refuse("times.json", "{\"train\": \"long\"}", "\"train\" is not a number of seconds");
    refuse("config.yaml", "seed: [", "");
}

/* evaluation.json of a run whose class i has i of 200 images right; two confusions. */
static void write_evaluation(int classes) {
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    fprintf(file, "{\"images\": %d, \"top1\": 0.5, \"top5\": 0.9, \"loss\": 1, \"classes\": [",
            200 * classes);
    for (int i = 0; i < classes; i++)
        fprintf(file, "%s{\"name\": \"class <%d>\", \"images\": 200, \"correct\": %d}",
                i ? ", " : "", i, (i + classes / 2) % classes % 200);
    fprintf(file, "], \"confusion\": null, \"hardest\": [], \"confused\": [");
    fprintf(file, "{\"label\": 31, \"predicted\": 7, \"images\": 88}, ");
    fprintf(file, "{\"label\": 2, \"predicted\": %d, \"images\": 5}]}", classes - 1);
    fclose(file);
    test_write("found.safetensors", "\2\0\0\0\0\0\0\0{}", 10); /* of no keys */
    write_text("evaluation.json", text);
    free(text);
}

static int occurrences(const char *text, const char *words) {
    int count = 0;
    for (; (text = strstr(text, words)) != NULL; text++)
        count++;
    return count;
}

/* A page with thousands of classes shows the weakest, and the most confused in place of a matrix.
 */
static void test_many_classes(void **state) {
    (void)state;
    char hash[17], path[600], *page;
    size_t size;
    struct run_record record;
    make_folder(hash);
    write_evaluation(20000);
    read_ok(&record);
    assert_true(record.evaluation.confusion == NULL && record.evaluation.confused_count == 2);
    for (int n = 1; n < 20000; n++) {
        const struct class_record *classes = record.evaluation.classes;
        const int *weakest = record.evaluation.weakest;
        assert_true(classes[weakest[n - 1]].correct <= classes[weakest[n]].correct);
    }
    record_release(&record);
    snprintf(path, sizeof path, "%s", test_path("report.html"));
    assert_int_equal(report_write(&folder, 1, path), STATUS_OK);
    assert_int_equal(file_read(path, 1 << 20, &page, &size), STATUS_OK);
    assert_non_null(strstr(page, "The 100 weakest of 20,000 classes"));
    assert_non_null(strstr(page, "88 of 200"));
    assert_null(strstr(page, "Confusion matrix"));
    assert_int_equal(occurrences(page, "class &lt;"), 100 + 4);
    assert_non_null(strstr(page, "class &lt;19999&gt;"));
    free(page);
}

/* Named by every step again, counted once, and shown up to a bound. */
static void test_bad_pictures(void **state) {
    (void)state;
    char hash[17], path[600], *text, *page;
    size_t size;
    make_folder(hash);
    FILE *file = open_memstream(&text, &size);
    for (int i = 0; i < 2 * 1500; i++)
        fprintf(file, "{\"event\": \"bad picture\", \"text\": \"<b>%d.jpg is empty\"}\n", i % 1500);
    fclose(file);
    write_text("log.jsonl", text);
    free(text);
    snprintf(path, sizeof path, "%s", test_path("report.html"));
    assert_int_equal(report_write(&folder, 1, path), STATUS_OK);
    assert_int_equal(file_read(path, 1 << 20, &page, &size), STATUS_OK);
    assert_non_null(strstr(page, "Pictures that are bad: 1,500"));
    assert_non_null(strstr(page, "<li>&lt;b&gt;99.jpg is empty</li>"));
    assert_int_equal(occurrences(page, "jpg is empty"), 100);
    assert_non_null(strstr(page, "what log.jsonl names beyond"));
    free(page);
    refuse("log.jsonl", "{\"event\": \"bad picture\"}\n", ":1: a bad picture without");
}

static void test_text(void **state) {
    (void)state;
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    html_text(file, "<script>\"a\" & 'b'</script> é");
    fclose(file);
    assert_string_equal(text, "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt; é");
    free(text);
}

static void check_axis(double low, double high, double scale, double from, double to, double step) {
    struct axis axis = axis_begin("", scale);
    axis_include(&axis, low);
    axis_include(&axis, high);
    axis_include(&axis, NAN);
    axis_finish(&axis);
    assert_float_equal(axis.low, from, 1e-9 * fabs(to));
    assert_float_equal(axis.high, to, 1e-9 * fabs(to));
    assert_float_equal(axis.step, step, 1e-9 * fabs(to));
}

static void test_axes(void **state) {
    (void)state;
    check_axis(0.8722, 0.8907, 100, 87, 89.5, 0.5);
    check_axis(1.84e6, 7.8e6, 1e-6, 1, 8, 1);
    check_axis(0, 62, 1, 0, 80, 20);
    check_axis(5, 5, 1, 4.4, 5.6, 0.2); /* one value stands in the middle */
    check_axis(0, 0, 1, -1, 1, 0.5);    /* also nothing at all */
    check_axis(-3e90, 4e90, 1, -4e90, 4e90, 2e90);
    struct axis empty = axis_begin("", 1);
    axis_finish(&empty);
    assert_true(empty.low < empty.high && empty.step > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_searched),     cmocka_unit_test(test_of_other_keys),
        cmocka_unit_test(test_curve),        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_text),         cmocka_unit_test(test_axes),
        cmocka_unit_test(test_many_classes), cmocka_unit_test(test_bad_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
