#include "training/guard.h"
#include "report/log.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* Share of the running mean that stays at a step: it remembers about fifty. */
static const double KEEP = 0.98;

bool guard_accepts(struct guard *guard, const struct training_config *config, int classes,
                   double loss) {
    bool first = guard->lowest_loss == 0;
    if (!isfinite(loss))
        return false;
    if (config->guard_jump > 0 && !first &&
        loss > fmax(config->guard_jump * guard->lowest_loss, log(classes)))
        return false;
    guard->mean_loss = first ? loss : KEEP * guard->mean_loss + (1 - KEEP) * loss;
    guard->lowest_loss = first ? loss : fmin(guard->lowest_loss, guard->mean_loss);
    return true;
}

double guard_factor(const struct guard *guard, const struct training_config *config) {
    return pow(config->guard_rate, (double)guard->returns);
}

bool guard_begins_window(const struct training_state *state, const struct training_config *config) {
    return state->good != NULL && state->step % config->guard_window == 0;
}

enum status guard_keep(struct training_state *state, struct training_state *now,
                       const struct memory *memory) {
    state->guard.good_step = state->step;
    return state_copy(now->good, now, memory);
}

/* "the loss of step 37 is nan" */
static void describe(const struct training_state *state, double loss, char *text, size_t size) {
    long long step = (long long)state->step;
    if (isfinite(loss))
        snprintf(text, size, "the loss of step %lld jumped to %.4g from a mean of %.4g", step, loss,
                 state->guard.mean_loss);
    else
        snprintf(text, size, "the loss of step %lld is not finite", step);
}

static enum status check_return(const struct guard_task *task, const struct training_state *state,
                                const char *what) {
    const struct training_config *config = task->config;
    const struct guard *guard = &state->guard;
    char why[80] = "there is no good state to go back to";
    if (state->good != NULL && guard->good_step >= 0) {
        if (guard->returns < config->guard_returns)
            return STATUS_OK;
        snprintf(why, sizeof why, "all %d returns to a good state are used up",
                 config->guard_returns);
    }
    return fail(STATUS_FAILED,
                "%s, and %s; lower %s.learning_rate (now %g) or raise %s.warmup_epochs", what, why,
                task->name, config->learning_rate, task->name);
}

static enum status say(const struct guard_task *task, const struct training_state *state,
                       const char *what, int64_t diverged) {
    const struct guard *guard = &state->guard;
    double factor = guard_factor(guard, task->config);
    TRY(log_say(task->log,
                "%s: %s; back to the state before step %lld, on from step %lld with %g times the "
                "learning rate (return %lld of %d)",
                task->name, what, (long long)guard->good_step, (long long)state->step, factor,
                (long long)guard->returns, task->config->guard_returns));
    return log_event(task->log, "{s:s, s:s, s:I, s:I, s:I, s:f, s:I}", "event", "divergence",
                     "step", task->name, "at", (json_int_t)diverged, "back_to",
                     (json_int_t)guard->good_step, "on_from", (json_int_t)state->step,
                     "learning_rate_factor", factor, "returns", (json_int_t)guard->returns);
}

enum status guard_return(const struct guard_task *task, struct training_state *state,
                         struct training_state *now, double loss) {
    char what[128];
    int64_t diverged = state->step, window = task->config->guard_window;
    describe(state, loss, what, sizeof what);
    TRY(check_return(task, state, what));
    TRY(state_copy(now, now->good, task->memory));
    int64_t next = (diverged / window + 1) * window;
    state->guard.returns++;
    state->step = next < task->steps ? next : task->steps;
    return say(task, state, what, diverged);
}
