/* A training of a few steps in which the n-th allocation fails, for every n: of the host's memory
 * on both backends, and of the device's memory, streams and graphs where CUDA is executed on the
 * CPU. Each failure is one sentence; what failed is done again and then gives the same bits;
 * nothing is left behind.
 *
 *   test_memory_cuda BACKEND */
#include "supernet/backend.h"
#include "support/memory.h"
#include "support_network.h"
#include "support_pass.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GROUPS = 2 };

static const char *backend_file;
static const struct ops *backend;

/* Of cuda_on_cpu/failures.cpp. */
static void (*device_fail_at)(long n);
static long (*device_alive)(void);

/* A training as far as it got. */
struct training {
    const struct ops *ops;
    const struct network *network;
    int stage;
    struct pass *pass;
    real *weights, *gradient, *velocity, *result;
};

static size_t parameters_of_training(const struct training *training) {
    return pass_parameters(training->pass)->size;
}

static enum status create(struct training *training) {
    return pass_try(&training->pass, training->network, training->ops, GROUPS, false, 0, NULL);
}

static enum status take(struct training *training, real **vector) {
    size_t size = parameters_of_training(training) + READ_SLACK;
    return training->ops->memory->take(vector, size * sizeof(real), "a vector");
}

static enum status take_weights(struct training *training) {
    TRY(take(training, &training->weights));
    real *weights = pass_random_parameters(pass_parameters(training->pass));
    enum status status = training->ops->memory->copy(
        training->weights, weights, parameters_of_training(training) * sizeof(real));
    free(weights);
    return status;
}

static enum status take_gradient(struct training *training) {
    return take(training, &training->gradient);
}

static enum status take_velocity(struct training *training) {
    return take(training, &training->velocity);
}

/* Not again after a step that failed: what was laid out of the weights must still be known. */
static enum status set_weights(struct training *training) {
    return pass_set_parameters(training->pass, training->weights);
}

/* The first is done call by call, the second recorded, the third replayed. */
static enum status step(struct training *training) {
    struct pass_result result;
    struct subnetwork subs[GROUPS];
    struct batch_group groups[GROUPS];
    struct pass_batch batch = pass_batch_from(0);
    for (int g = 0; g < GROUPS; g++) {
        subs[g] = pass_draw(training->network, (uint32_t)(training->stage * GROUPS + g));
        groups[g] = (struct batch_group){&subs[g], PASS_IMAGES / GROUPS};
    }
    TRY(pass_set_groups(training->pass, groups, GROUPS));
    return pass_forward_backward(training->pass, &batch, training->gradient, &result);
}

static enum status update(struct training *training) {
    struct update update = {
        .kind = OPTIMISER_SGD, .rate = (real)0.1, .momentum = (real)0.9, .decay = (real)1e-4};
    return training->ops->update(&update, parameters_of_training(training), training->weights,
                                 training->gradient, training->velocity, NULL);
}

static enum status read_result(struct training *training) {
    size_t size = parameters_of_training(training);
    TRY(allocate(&training->result, size, sizeof(real), "the result"));
    TRY(training->ops->memory->copy(training->result, training->weights, size * sizeof(real)));
    return training->ops->memory->finish();
}

static enum status (*const stages[])(struct training *) = {
    create,      take_weights, take_gradient, take_velocity, set_weights, step,   update,
    set_weights, step,         update,        set_weights,   step,        update, read_result};
enum { FIRST_STEP = 4, STAGES = sizeof stages / sizeof *stages };

/* From the stage that failed, or the first, on. */
static enum status go_on(struct training *training) {
    for (; training->stage < STAGES; training->stage++)
        TRY(stages[training->stage](training));
    return STATUS_OK;
}

static void release(struct training *training) {
    const struct memory *memory = training->ops->memory;
    memory->give_back(training->weights);
    memory->give_back(training->gradient);
    memory->give_back(training->velocity);
    pass_release(training->pass);
    free(training->result);
}

static void assert_one_sentence(void) {
    assert_true(strlen(failure()) > 10);
    assert_null(strchr(failure(), '\n'));
    failure_clear();
}

/* The same training with the n-th allocation failing. Where a step failed it goes on to its end; a
 * stage before the first step is only done again. False: there is no n-th. */
static bool fails_and_goes_on(const struct training *whole, void (*fail_at)(long), long n) {
    struct training training = {.ops = whole->ops, .network = whole->network};
    long before = device_alive();
    fail_at(n);
    enum status status = go_on(&training);
    fail_at(0);
    if (status != STATUS_OK) {
        assert_int_equal(status, STATUS_FAILED);
        assert_one_sentence();
        if (training.stage < FIRST_STEP)
            assert_int_equal(stages[training.stage](&training), STATUS_OK);
        else
            assert_int_equal(go_on(&training), STATUS_OK);
    }
    if (training.stage == STAGES)
        assert_memory_equal(training.result, whole->result,
                            parameters_of_training(whole) * sizeof(real));
    release(&training);
    assert_int_equal(device_alive(), before);
    return status != STATUS_OK;
}

static long failures_of(const struct ops *ops, void (*fail_at)(long)) {
    struct network network;
    pass_network(&network);
    struct training whole = {.ops = ops, .network = &network};
    long n = 1;
    assert_int_equal(go_on(&whole), STATUS_OK);
    while (fails_and_goes_on(&whole, fail_at, n))
        n++;
    release(&whole);
    network_release(&network);
    print_message("%s: %ld failures\n", ops->name, n - 1);
    return n - 1;
}

/* Once in a process, so before all other tests. */
static void a_backend_without_a_stream_is_refused(void **state) {
    (void)state;
    device_fail_at(1);
    assert_int_equal(backend_load(backend_file, PRECISION_FP32, &backend), STATUS_FAILED);
    device_fail_at(0);
    assert_one_sentence();
    assert_int_equal(device_alive(), 0);
    assert_int_equal(backend_load(backend_file, PRECISION_FP32, &backend), STATUS_OK);
}

static void host_memory_fails_on_the_cpu(void **state) {
    (void)state;
    assert_true(failures_of(ops_cpu(), allocate_fail_at) > 10);
}

static void host_memory_fails_beside_a_device(void **state) {
    (void)state;
    assert_true(failures_of(backend, allocate_fail_at) > 10);
}

/* The pass's own and what both sides touch, three vectors, the recording's graph, and what runs. */
static void device_memory_fails(void **state) {
    (void)state;
    assert_true(failures_of(backend, device_fail_at) >= 8);
}

static void find_hooks(void) {
    void *library = dlopen(backend_file, RTLD_NOW | RTLD_LOCAL);
    void *hooks[] = {library ? dlsym(library, "cuda_on_cpu_fail_at") : NULL,
                     library ? dlsym(library, "cuda_on_cpu_alive") : NULL};
    memcpy(&device_fail_at, &hooks[0], sizeof hooks[0]);
    memcpy(&device_alive, &hooks[1], sizeof hooks[1]);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backend_without_a_stream_is_refused),
        cmocka_unit_test(host_memory_fails_on_the_cpu),
        cmocka_unit_test(host_memory_fails_beside_a_device),
        cmocka_unit_test(device_memory_fails),
    };
    backend_file = argc == 2 ? argv[1] : "";
    find_hooks();
    if (device_fail_at == NULL || device_alive == NULL) {
        fputs("test_memory_cuda BACKEND, the one that is executed on the CPU\n", stderr);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
