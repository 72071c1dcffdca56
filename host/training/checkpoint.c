#include "training/checkpoint.h"
#include "support/file.h"
#include "support/safetensors.h"
#include "training/weights_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VECTORS = 6, GUARD_NUMBERS = 4, MOST_TENSORS = 2 * VECTORS + GUARD_NUMBERS };

static const char format[] = "taper training state 2";

/* The vectors that this state has, by the names that they carry in the file. */
static int vectors_of(const struct training_state *state, const char *const names[VECTORS],
                      struct named_tensor *tensors) {
    const struct {
        const real *values;
        size_t count;
    } all[VECTORS] = {
        {state->weights, state->parameters}, {state->velocity, state->parameters},
        {state->square, state->parameters},  {state->average, state->parameters},
        {state->running, state->statistics}, {state->average_running, state->statistics},
    };
    int count = 0;
    for (int i = 0; i < VECTORS; i++)
        if (all[i].values != NULL)
            tensors[count++] = (struct named_tensor){.name = names[i],
                                                     .type = TENSOR_F32,
                                                     .rank = 1,
                                                     .shape = {(int64_t)all[i].count},
                                                     .data = all[i].values};
    return count;
}

static int guard_of(const struct guard *guard, struct named_tensor *tensors) {
    const struct named_tensor all[GUARD_NUMBERS] = {
        {"guard.returns", TENSOR_I64, 1, {1}, &guard->returns},
        {"guard.good_step", TENSOR_I64, 1, {1}, &guard->good_step},
        {"guard.mean_loss", TENSOR_F64, 1, {1}, &guard->mean_loss},
        {"guard.lowest_loss", TENSOR_F64, 1, {1}, &guard->lowest_loss}};
    memcpy(tensors, all, sizeof all);
    return GUARD_NUMBERS;
}

static int tensors_of(const struct training_state *state, struct named_tensor *tensors) {
    static const char *const names[VECTORS] = {"weights", "velocity", "square",
                                               "average", "running",  "average_running"};
    static const char *const good_names[VECTORS] = {"good.weights", "good.velocity",
                                                    "good.square",  "good.average",
                                                    "good.running", "good.average_running"};
    int count = vectors_of(state, names, tensors);
    if (state->good != NULL)
        count += vectors_of(state->good, good_names, tensors + count);
    return count + guard_of(&state->guard, tensors + count);
}

static void previous_path(const char *path, char *previous, size_t size) {
    snprintf(previous, size, "%s.previous", path);
}

enum status checkpoint_save(const struct training_state *state, const char *path, uint64_t hash) {
    char step[32], hash_text[32], previous[700];
    snprintf(step, sizeof step, "%" PRId64, state->step);
    snprintf(hash_text, sizeof hash_text, "%016" PRIx64, hash);
    previous_path(path, previous, sizeof previous);
    /* Killed after this line, the previous file is the newest. */
    if (rename(path, previous) != 0 && errno != ENOENT)
        return fail(STATUS_FAILED, "cannot rename %s: %s", path, strerror(errno));
    struct named_tensor tensors[MOST_TENSORS];
    const struct metadata metadata[] = {
        {"format", format}, {"step", step}, {"config_hash", hash_text}};
    return safetensors_write(path, tensors, tensors_of(state, tensors), metadata, 3);
}

static enum status read_step(const struct safetensors *file, const char *path, int64_t *step) {
    const char *text = safetensors_metadata(file, "step");
    char *end;
    *step = text ? strtoll(text, &end, 10) : -1;
    if (*step < 0 || end == text || *end != '\0')
        return fail(STATUS_FAILED, "%s has no step counter", path);
    return STATUS_OK;
}

static enum status read_state(struct training_state *state, const struct safetensors *file,
                              const char *path) {
    int64_t step;
    TRY(read_step(file, path, &step));
    struct named_tensor tensors[MOST_TENSORS];
    int count = tensors_of(state, tensors);
    for (int i = 0; i < count; i++)
        TRY(safetensors_copy(file, path, tensors[i].name, tensors[i].type, 1, tensors[i].shape,
                             (void *)(uintptr_t)tensors[i].data));
    state->step = step;
    return STATUS_OK;
}

static enum status load_one(struct training_state *state, const char *path, uint64_t hash,
                            enum checkpoint_found *found) {
    struct safetensors file;
    TRY(safetensors_read(&file, path));
    char hash_text[32];
    snprintf(hash_text, sizeof hash_text, "%016" PRIx64, hash);
    const char *its_hash = safetensors_metadata(&file, "config_hash");
    enum status status = weights_check_format(&file, path, format);
    bool ours = its_hash != NULL && strcmp(its_hash, hash_text) == 0;
    if (status == STATUS_OK && ours)
        status = read_state(state, &file, path);
    if (status == STATUS_OK)
        *found = ours ? CHECKPOINT_LOADED : CHECKPOINT_OTHER_KEYS;
    safetensors_release(&file);
    return status;
}

enum status checkpoint_load(struct training_state *state, const char *path, uint64_t hash,
                            struct log *log, enum checkpoint_found *found) {
    char previous[700];
    previous_path(path, previous, sizeof previous);
    *found = CHECKPOINT_NONE;
    if (file_exists(path)) {
        enum status status = load_one(state, path, hash, found);
        if (status == STATUS_OK || !file_exists(previous))
            return status;
        TRY(log_say(log, "going on from %s, because the newest state cannot be read: %s", previous,
                    failure()));
        failure_clear();
    }
    return file_exists(previous) ? load_one(state, previous, hash, found) : STATUS_OK;
}

void checkpoint_remove(const char *path) {
    char previous[700];
    previous_path(path, previous, sizeof previous);
    unlink(path);
    unlink(previous);
}
