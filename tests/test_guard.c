/* A poisoned batch: the guard goes back, skips the window, lowers the rate, says so, gives up at
 * its limit; and a training cut anywhere in between ends with the same bits. */
#include "report/json_lines.h"
#include "support/file.h"
#include "support_folder.h"
#include "support_task.h"
#include "training/checkpoint.h"
#include "training/guard.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One epoch of six steps in windows of two. */
enum { STEPS = TASK_PICTURES / TASK_BATCH, WINDOW = 2, POISONED = 3, POISON = TASK_CLASSES - 1 };

/* ------------------------------------------------- a table of operations with a poisoned loss
 * One picture has the label POISON: the batch that holds it is the poisoned one. */
enum poison { NO_POISON, LOSS_NAN, LOSS_INFINITE, LOSS_JUMP, GRADIENT_NAN };
static enum poison poison;

static enum status poisoned_loss(const struct loss *loss, const struct slice *slice) {
    TRY(ops_cpu()->loss_forward_backward(loss, slice));
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        for (int image = 0; image < segment->images; image++) {
            int picture = segment->picture + image;
            if (loss->labels[picture] != POISON)
                continue;
            if (poison == GRADIENT_NAN)
                tensor_image(loss->gradient, segment, image)[0] = (real)NAN;
            else if (poison != NO_POISON)
                loss->losses[picture] = poison == LOSS_NAN    ? NAN
                                        : poison == LOSS_JUMP ? 1e4
                                                              : INFINITY;
        }
    }
    return STATUS_OK;
}

static struct ops poisoned_ops;

/* Whether the batch of a step holds the label POISON. */
static bool holds_poison(const struct task_fixture *fixture, int64_t step) {
    struct loader_options options = fixture->task.images;
    struct loader *loader;
    struct loaded_batch batch;
    bool holds = false;
    options.batch_images = TASK_BATCH;
    assert_int_equal(loader_create(&loader, &options), STATUS_OK);
    assert_int_equal(loader_batch(loader, step, &batch), STATUS_OK);
    for (int i = 0; i < TASK_BATCH; i++)
        holds |= batch.labels[i] == POISON;
    loader_release(loader);
    return holds;
}

/* Gives the label to a picture that is in the batch of step POISONED. */
static void begin(struct task_fixture *fixture, bool supernet, enum poison kind) {
    task_begin(fixture, supernet, OPTIMISER_SGD);
    poisoned_ops = *ops_cpu();
    poisoned_ops.loss_forward_backward = poisoned_loss;
    poison = kind;
    fixture->task.ops = &poisoned_ops;
    fixture->config.epochs = 1;
    fixture->config.guard_returns = 3;
    fixture->config.guard_window = WINDOW;
    fixture->config.guard_jump = 5;
    fixture->config.guard_rate = 0.5;
    uint16_t *labels = fixture->pictures.labels;
    for (int i = 0; i < TASK_PICTURES; i++)
        labels[i] %= POISON;
    for (int i = 0; i < TASK_PICTURES; i++) {
        uint16_t own = labels[i];
        labels[i] = POISON;
        if (holds_poison(fixture, POISONED))
            return;
        labels[i] = own;
    }
    fail_msg("no picture is in batch %d", POISONED);
}

/* What the guard should leave, made without it: the first `good` steps, then those from `on` with
 * half the learning rate. */
static void reference(struct task_fixture *fixture, int good, int on,
                      struct training_state *state) {
    struct training_config own = fixture->config;
    enum poison kind = poison;
    enum checkpoint_found found;
    poison = NO_POISON;
    fixture->config.guard_returns = 0;
    for (int i = 0; i < good; i++) {
        assert_int_equal(task_train_step(fixture, state), STATUS_INTERRUPTED);
        if (i < good - 1)
            state_release(state);
    }
    assert_int_equal(
        checkpoint_load(state, fixture->task.state_path, fixture->task.hash, NULL, &found),
        STATUS_OK);
    state->step = on;
    assert_int_equal(checkpoint_save(state, fixture->task.state_path, fixture->task.hash),
                     STATUS_OK);
    state_release(state);
    fixture->config.learning_rate *= 0.5;
    assert_int_equal(task_train(fixture, state, 1), STATUS_OK);
    checkpoint_remove(fixture->task.state_path);
    fixture->config = own;
    poison = kind;
}

static void returns_and_skips(bool supernet, enum poison kind, int good, int on) {
    struct task_fixture fixture;
    struct training_state expected, guarded;
    begin(&fixture, supernet, kind);
    reference(&fixture, good, on, &expected);
    assert_int_equal(task_train(&fixture, &guarded, 2), STATUS_OK);
    assert_int_equal(guarded.guard.returns, 1);
    assert_int_equal(guarded.step, STEPS);
    assert_states_equal(&expected, &guarded);
    state_release(&expected);
    state_release(&guarded);
    task_end(&fixture);
}

/* The batch of step 3 is bad: back to the state before step 2, on from step 4. */
static void bad_losses_are_skipped(void **state) {
    (void)state;
    returns_and_skips(true, LOSS_NAN, 2, 4);
    returns_and_skips(false, LOSS_NAN, 2, 4);
    returns_and_skips(true, LOSS_JUMP, 2, 4);
    returns_and_skips(false, LOSS_INFINITE, 2, 4);
}

/* The loss of step 3 is fine, but its step ruins the weights: that shows at step 4, which begins a
 * window, so that its state is not taken for a good one. */
static void ruined_weights_are_no_good_state(void **state) {
    (void)state;
    returns_and_skips(true, GRADIENT_NAN, 2, 6);
    returns_and_skips(false, GRADIENT_NAN, 2, 6);
}

/* A jump over the limit alone, below the loss of guessing, is none. */
static void a_jump_must_be_worse_than_guessing(void **state) {
    (void)state;
    const struct training_config config = {.guard_jump = 5};
    struct guard guard = {.returns = 0};
    assert_true(guard_accepts(&guard, &config, 10, 0.01));
    assert_true(guard_accepts(&guard, &config, 10, 2.2));
    assert_false(guard_accepts(&guard, &config, 10, 2.4));
    assert_false(guard_accepts(&guard, &config, 10, NAN));
    /* a mean that creeps up does not raise the limit */
    for (int i = 0; i < 1000; i++)
        assert_true(guard_accepts(&guard, &config, 10, 2.2));
    assert_true(guard.mean_loss > 2);
    assert_false(guard_accepts(&guard, &config, 10, 2.4));
    const struct training_config off = {.guard_jump = 0};
    assert_true(guard_accepts(&guard, &off, 10, 1e30));
    assert_false(guard_accepts(&guard, &off, 10, INFINITY));
}

static void a_clean_training_is_left_alone(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state with, without;
    begin(&fixture, true, NO_POISON);
    assert_int_equal(task_train(&fixture, &with, 1), STATUS_OK);
    fixture.config.guard_returns = 0;
    assert_int_equal(task_train(&fixture, &without, 1), STATUS_OK);
    assert_states_equal(&with, &without);
    assert_int_equal(with.guard.returns, 0);
    state_release(&with);
    state_release(&without);
    task_end(&fixture);
}

/* Four epochs: the poisoned batch comes four times. */
static void cut_anywhere_gives_the_same_bits(void **state) {
    (void)state;
    for (int supernet = 0; supernet < 2; supernet++) {
        struct task_fixture fixture;
        struct training_state whole, cut = {0};
        begin(&fixture, supernet, LOSS_NAN);
        fixture.config.epochs = 4;
        fixture.config.guard_returns = 4;
        assert_int_equal(task_train(&fixture, &whole, 2), STATUS_OK);
        assert_true(whole.guard.returns >= 2);
        for (enum status status = STATUS_INTERRUPTED; status == STATUS_INTERRUPTED;) {
            state_release(&cut);
            status = task_train_step(&fixture, &cut);
            if (status == STATUS_INTERRUPTED)
                assert_int_equal(cut.step <= POISONED ? 0 : 1, cut.guard.returns > 0);
        }
        assert_states_equal(&whole, &cut);
        assert_memory_equal(&whole.guard, &cut.guard, sizeof whole.guard);
        state_release(&whole);
        state_release(&cut);
        task_end(&fixture);
    }
}

/* Killed after the return, before it was saved: the state from before is all there is. */
static void killed_before_the_return_was_saved(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state whole, cut;
    char *old;
    size_t size;
    begin(&fixture, false, LOSS_NAN);
    assert_int_equal(task_train(&fixture, &whole, 1), STATUS_OK);
    checkpoint_remove(fixture.task.state_path);
    for (int i = 0; i < POISONED; i++) {
        assert_int_equal(task_train_step(&fixture, &cut), STATUS_INTERRUPTED);
        state_release(&cut);
    }
    assert_int_equal(file_read(fixture.task.state_path, 1 << 30, &old, &size), STATUS_OK);
    assert_int_equal(task_train_step(&fixture, &cut), STATUS_INTERRUPTED);
    assert_int_equal(cut.step, 4);
    state_release(&cut);
    test_write("state.safetensors", old, size);
    free(old);
    assert_int_equal(task_train(&fixture, &cut, 1), STATUS_OK);
    assert_states_equal(&whole, &cut);
    assert_memory_equal(&whole.guard, &cut.guard, sizeof whole.guard);
    state_release(&whole);
    state_release(&cut);
    task_end(&fixture);
}

/* The only object of the log that tells of a divergence. */
static void assert_logged(const char *path) {
    json_t *lines;
    int found = 0;
    assert_int_equal(json_lines_read(path, &lines), STATUS_OK);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *event;
        int at, back, on, returns;
        double factor;
        json_t *line = json_array_get(lines, i);
        assert_int_equal(json_unpack(line, "{s:s}", "event", &event), 0);
        if (strcmp(event, "divergence") != 0)
            continue;
        assert_int_equal(json_unpack(line, "{s:i, s:i, s:i, s:i, s:f}", "at", &at, "back_to", &back,
                                     "on_from", &on, "returns", &returns, "learning_rate_factor",
                                     &factor),
                         0);
        assert_int_equal(at, POISONED);
        assert_int_equal(back, 2);
        assert_int_equal(on, 4);
        assert_int_equal(returns, 1);
        assert_true(factor == 0.5);
        found++;
    }
    assert_int_equal(found, 1);
    json_decref(lines);
}

/* The second time the poisoned batch comes is one too many; the log tells of the first. */
static void stops_at_the_limit_and_says_so(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state trained;
    const char *path;
    begin(&fixture, true, LOSS_NAN);
    fixture.config.epochs = 4;
    fixture.config.guard_returns = 1;
    path = test_path("log.jsonl");
    assert_int_equal(log_open(&fixture.task.log, path), STATUS_OK);
    for (int again = 0; again < 2; again++) { /* the same command stops at the same place */
        assert_int_equal(task_train(&fixture, &trained, 1), STATUS_FAILED);
        assert_non_null(strstr(failure(), "is not finite"));
        assert_non_null(strstr(failure(), "all 1 returns"));
        assert_non_null(strstr(failure(), "test.learning_rate"));
        failure_clear();
        state_release(&trained);
    }
    log_close(fixture.task.log);
    assert_logged(path);
    task_end(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_losses_are_skipped),
        cmocka_unit_test(ruined_weights_are_no_good_state),
        cmocka_unit_test(a_jump_must_be_worse_than_guessing),
        cmocka_unit_test(a_clean_training_is_left_alone),
        cmocka_unit_test(cut_anywhere_gives_the_same_bits),
        cmocka_unit_test(killed_before_the_return_was_saved),
        cmocka_unit_test(stops_at_the_limit_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
