#include "metric/metric.h"
#include "metric/process.h"
#include "network/subnetwork_json.h"
#include "support_network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct network network;
static char folder[] = "/tmp/taper-metric-XXXXXX";
static char script[64];

static int set_up(void **state) {
    (void)state;
    network_begin(&network, 8, 8, 3, 10);
    network_add(&network, (struct layer){.name = "stem", .kind = LAYER_CONVOLUTION, .norm = true},
                (struct dimensions){.width = OPTIONS(16, 8), .kernel = OPTIONS(3)});
    network_add(&network, (struct layer){.name = "block", .kind = LAYER_BLOCK, .bypass = 16},
                (struct dimensions){.width = OPTIONS(16, 8),
                                    .expand = OPTIONS(32, 24, 16),
                                    .kernel = OPTIONS(5, 3),
                                    .may_be_absent = true});
    network_add_pool(&network);
    network_add_classifier(&network);
    if (!mkdtemp(folder))
        return -1;
    snprintf(script, sizeof script, "%s/script", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    network_release(&network);
    unlink(script);
    return rmdir(folder);
}

static struct metric *start(const char *program, const char *text, double deadline) {
    FILE *file = fopen(script, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    struct metric_config config = {.name = "delay", .deadline = deadline};
    snprintf(config.command, sizeof config.command, "exec %s %s", program, script);
    struct metric *metric;
    assert_int_equal(metric_create(&metric, &config, &network, NULL), STATUS_OK);
    return metric;
}

static void wait_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

static void counted_metrics_are_the_costs(void **state) {
    (void)state;
    struct subnetwork sub = {.option = {1, 0, 0, 1}};
    struct cost cost = network_cost(&network, &sub);
    const char *names[] = {"macs", "parameters"};
    double expected[] = {cost.macs, cost.parameters}, value;
    for (int i = 0; i < 2; i++) {
        struct metric_config config = {0};
        strcpy(config.name, names[i]);
        struct metric *metric;
        assert_int_equal(metric_create(&metric, &config, &network, NULL), STATUS_OK);
        assert_int_equal(metric_value(metric, &sub, &value), STATUS_OK);
        assert_true(value == expected[i] && value > 0);
        assert_false(metric_slow(metric));
        assert_string_equal(metric_name(metric), names[i]);
        metric_release(metric);
    }
}

static void wrong_configurations_are_told(void **state) {
    (void)state;
    static const struct {
        struct metric_config config;
        const char *says;
    } cases[] = {
        {{.name = "mac"}, "metric \"mac\" is not built in"},
        {{.name = "macs", .command = "true"}, "metric \"macs\" is built in"},
        {{.name = "delay", .command = "true"}, "its deadline is 0 s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct metric *metric;
        failure_clear();
        assert_int_equal(metric_create(&metric, &cases[i].config, &network, NULL), STATUS_USAGE);
        assert_non_null(strstr(failure(), cases[i].says));
        assert_null(metric);
    }
    failure_clear();
}

static void subnetworks_survive_json(void **state) {
    (void)state;
    struct subnetwork smallest = subnetwork_smallest(&network), sub = {.option = {1, 0, 1, 2, 1}};
    const struct subnetwork *all[] = {&smallest, &sub};
    for (int i = 0; i < 2; i++) {
        struct subnetwork back;
        json_t *json = subnetwork_to_json(&network, all[i]);
        assert_int_equal(json_object_size(json), network.choice_count);
        assert_int_equal(subnetwork_from_json(&network, json, &back), STATUS_OK);
        assert_true(subnetwork_equal(&back, all[i]));
        json_object_set_new(json, "block.expand", json_integer(17));
        assert_int_equal(subnetwork_from_json(&network, json, &back), STATUS_USAGE);
        assert_string_equal(failure(),
                            "sub-network: \"block.expand\" is 17, which is none of its options");
        failure_clear();
        json_object_del(json, "block.expand");
        assert_int_equal(subnetwork_from_json(&network, json, &back), STATUS_USAGE);
        failure_clear();
        json_object_set_new(json, "block.expend", json_integer(16));
        assert_int_equal(subnetwork_from_json(&network, json, &back), STATUS_USAGE);
        assert_non_null(strstr(failure(), "no choice \"block.expend\""));
        failure_clear();
        json_decref(json);
    }
}

static void a_command_answers_question_after_question(void **state) {
    (void)state;
    struct metric *metric =
        start("python3",
              "import json, sys\n"
              "for line in sys.stdin:\n"
              "    q = json.loads(line)\n"
              "    s = q['subnetwork']\n"
              "    v = s['stem.width'] + 100 * s['block.expand'] + q['id'] / 8\n"
              "    print(json.dumps({'id': q['id'], 'value': v}), flush=True)\n",
              20);
    assert_true(metric_slow(metric));
    for (int i = 1; i <= 20; i++) {
        struct subnetwork sub = {.option = {(short)(i % 2), 0, 0, (short)(i % 3)}};
        double value, expected = (i % 2 ? 8 : 16) + 100 * (32 - 8 * (i % 3)) + i / 8.0;
        assert_int_equal(metric_value(metric, &sub, &value), STATUS_OK);
        assert_true(value == expected);
    }
    metric_release(metric);
}

static void an_answer_may_come_in_pieces(void **state) {
    (void)state;
    struct metric *metric = start(
        "sh", "read l; printf '{\"id\": 1,'; sleep 0.05; printf '\"value\": 2}\n'; read l", 20);
    double value;
    assert_int_equal(metric_value(metric, &(struct subnetwork){0}, &value), STATUS_OK);
    assert_true(value == 2);
    metric_release(metric);
}

/* Each is one sentence with the metric's name, the command and what came. */
static void every_breach_is_told(void **state) {
    (void)state;
    static const struct {
        const char *script, *says;
        double deadline;
    } cases[] = {
        {"read l; exit 3", "ended before it answered question 1 (exit status 3)", 20},
        {"read l; kill -9 $$", "(killed by signal 9)", 20},
        {"exec >&-; sleep 60", "(it still runs)", 20},
        {"exec <&-; sleep 60", "ended before it answered question 1 (it still runs)", 20},
        {"exit 0", "(exit status 0)", 20},
        {"read l; sleep 60", "did not answer question 1 within its deadline of 0.1 s", 0.1},
        {"read l; printf '{\"id\": 1'; sleep 60", "within its deadline of 0.1 s", 0.1},
        {"read l; echo '{\"id\": 99, \"value\": 1}'", "asked question 1 and answered question 99",
         20},
        {"read l; echo '{\"value\": 1}'", "without its id: {\"value\": 1}", 20},
        {"read l; echo '{\"id\": 1, \"error\": \"the phone is gone\"}'",
         "answered question 1 with the error: the phone is gone", 20},
        {"read l; echo 'Hello, world'", "something else than a JSON object: Hello, world", 20},
        {"read l; echo '[1, 2]'", "something else than a JSON object: [1, 2]", 20},
        {"read l; echo", "something else than a JSON object", 20},
        {"read l; echo '{\"id\": 1, \"value\": NaN}'", "\"value\": NaN}", 20},
        {"read l; echo '{\"id\": 1, \"value\": 1e999}'", "\"value\": 1e999}", 20},
        {"read l; echo '{\"id\": 1, \"value\": -2}'", "with -2; a metric is at least 0", 20},
        {"read l; echo '{\"id\": 1, \"value\": \"5\"}'", "without a number as its value", 20},
        {"read l; echo '{\"id\": 1}'", "without a number as its value: {\"id\": 1}", 20},
        {"read l; echo '{\"id\": 1, \"value\": 1, \"value\": 2}'", "\"value\": 2}", 20},
        {"read l; head -c 70000 /dev/zero | tr '\\0' x; sleep 60", "a line over 65536 bytes", 20},
        {"echo hello; read l; sleep 60", "not asked for after question 0", 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct metric *metric = start("sh", cases[i].script, cases[i].deadline);
        wait_a_little(); /* what ends or writes unasked has done so */
        double value = 5;
        failure_clear();
        assert_int_equal(metric_value(metric, &(struct subnetwork){0}, &value), STATUS_FAILED);
        if (!strstr(failure(), cases[i].says) || !strstr(failure(), "metric \"delay\"") ||
            !strstr(failure(), script))
            fail_msg("case %zu: %s", i, failure());
        assert_true(value == 5);
        failure_clear();
        assert_int_equal(metric_value(metric, &(struct subnetwork){0}, &value), STATUS_FAILED);
        assert_non_null(strstr(failure(), "stopped after an earlier error"));
        metric_release(metric);
    }
    failure_clear();
}

static void a_second_answer_is_told(void **state) {
    (void)state;
    struct metric *metric = start(
        "sh", "read l; printf '{\"id\":1,\"value\":1}\\n{\"id\":1,\"value\":2}\\n'; read l", 20);
    double value;
    assert_int_equal(metric_value(metric, &(struct subnetwork){0}, &value), STATUS_OK);
    assert_true(value == 1);
    assert_int_equal(metric_value(metric, &(struct subnetwork){0}, &value), STATUS_FAILED);
    assert_non_null(strstr(failure(), "not asked for after question 1"));
    failure_clear();
    metric_release(metric);
}

static void standard_error_passes_through(void **state) {
    (void)state;
    FILE *caught = tmpfile();
    fflush(stderr);
    int before = dup(STDERR_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
    struct metric *metric =
        start("sh", "echo careful >&2; read l; echo '{\"id\": 1, \"value\": 2}'; read l", 20);
    double value;
    enum status status = metric_value(metric, &(struct subnetwork){0}, &value);
    metric_release(metric);
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(status, STATUS_OK);
    char text[16] = "";
    rewind(caught);
    assert_non_null(fgets(text, sizeof text, caught));
    assert_string_equal(text, "careful\n");
    fclose(caught);
}

/* Gone, or a zombie that waits for its parent. */
static bool has_ended(int id) {
    char path[32], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", id);
    FILE *file = fopen(path, "r");
    if (!file)
        return true;
    if (fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
    fclose(file);
    return state == 'Z' || state == 'X';
}

static void its_children_end_with_it(void **state) {
    (void)state;
    struct metric *metric =
        start("sh",
              "sleep 1000 & trap '' HUP TERM; read l; echo \"{\\\"id\\\": 1, \\\"value\\\": $!}\";"
              "read l; sleep 1000",
              20);
    double child;
    assert_int_equal(metric_value(metric, &(struct subnetwork){0}, &child), STATUS_OK);
    assert_false(has_ended((int)child));
    metric_release(metric);
    for (int i = 0; i < 20 && !has_ended((int)child); i++)
        wait_a_little();
    assert_true(has_ended((int)child));
}

static void writing_has_a_deadline(void **state) {
    (void)state;
    static struct process process;
    static char text[1 << 20];
    memset(text, 'x', sizeof text);
    assert_int_equal(process_start(&process, "sleep 60"), 0);
    double start_time = process_now();
    assert_int_equal(process_write(&process, text, sizeof text, start_time + 0.1), PROCESS_LATE);
    assert_true(process_now() - start_time >= 0.1);
    process_stop(&process, 0);
    assert_int_equal(process.id, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_metrics_are_the_costs),
        cmocka_unit_test(wrong_configurations_are_told),
        cmocka_unit_test(subnetworks_survive_json),
        cmocka_unit_test(a_command_answers_question_after_question),
        cmocka_unit_test(an_answer_may_come_in_pieces),
        cmocka_unit_test(every_breach_is_told),
        cmocka_unit_test(a_second_answer_is_told),
        cmocka_unit_test(standard_error_passes_through),
        cmocka_unit_test(its_children_end_with_it),
        cmocka_unit_test(writing_has_a_deadline),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
