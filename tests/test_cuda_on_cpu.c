/* The execution of CUDA on the CPU finds planted bugs, each in a process of its own:
 *   test_cuda_on_cpu         all
 *   test_cuda_on_cpu NAME    that bug, here */
#include "planted_bugs.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef __SANITIZE_ADDRESS__
static const enum finder built_in = ADDRESS_SANITIZER;
#elif defined(__SANITIZE_THREAD__)
static const enum finder built_in = THREAD_SANITIZER;
#else
static const enum finder built_in = ALWAYS;
#endif

struct outcome {
    int is_clean; /* ended by itself and without complaint */
    char report[1 << 16];
};

static void run(const char *name, const char *environment, struct outcome *outcome) {
    char program[PATH_MAX], command[PATH_MAX + 256];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = '\0';
    snprintf(command, sizeof command, "%s '%s' %s 2>&1", environment, program, name);
    FILE *child = popen(command, "r");
    assert_non_null(child);
    size_t size = fread(outcome->report, 1, sizeof outcome->report - 1, child);
    outcome->report[size] = '\0';
    outcome->is_clean = pclose(child) == 0;
}

static const char *environment_of(const struct planted_bug *bug, int is_late) {
    if (strcmp(bug->name, "failing_allocation") == 0)
        return "CUDA_ON_CPU_FAIL_ALLOCATION=2";
    return is_late ? "CUDA_ON_CPU_STREAMS=late" : "CUDA_ON_CPU_SEED=5";
}

static void must_be_found(const struct planted_bug *bug, const struct outcome *outcome) {
    if (outcome->is_clean)
        fail_msg("%s was not found", bug->name);
    if (strstr(outcome->report, bug->report) == NULL)
        fail_msg("%s: not '%s', but: %s", bug->name, bug->report, outcome->report);
}

static void must_be_clean(const struct planted_bug *bug, const struct outcome *outcome) {
    if (!outcome->is_clean)
        fail_msg("%s: %s", bug->name, outcome->report);
}

static void each_bug_is_found(void **state) {
    (void)state;
    static struct outcome outcome;
    for (int i = 0; i < planted_bug_count; i++) {
        const struct planted_bug *bug = &planted_bugs[i];
        if (bug->finder != ALWAYS && bug->finder != LATE_STREAMS && bug->finder != built_in)
            continue;
        run(bug->name, environment_of(bug, bug->finder == LATE_STREAMS), &outcome);
        if (bug->finder != NOBODY)
            must_be_found(bug, &outcome);
    }
}

static void nothing_else_is(void **state) {
    (void)state;
    static struct outcome outcome;
    for (int i = 0; i < planted_bug_count; i++)
        for (int is_late = 0; is_late < 2 && planted_bugs[i].finder == NOBODY; is_late++) {
            run(planted_bugs[i].name, environment_of(&planted_bugs[i], is_late), &outcome);
            must_be_clean(&planted_bugs[i], &outcome);
        }
}

static int run_here(const char *name) {
    for (int i = 0; i < planted_bug_count; i++)
        if (strcmp(planted_bugs[i].name, name) == 0) {
            planted_bugs[i].run();
            return 0;
        }
    fprintf(stderr, "no planted bug %s\n", name);
    return 2;
}

int main(int count, char **arguments) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bug_is_found),
        cmocka_unit_test(nothing_else_is),
    };
    if (count == 2)
        return run_here(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
