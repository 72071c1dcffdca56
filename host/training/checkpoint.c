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

enum { MOST_VECTORS = 6 };

static const char format[] = "taper training state 1";

/* The vectors that this state has, by the names that they carry in the file. */
static int vectors_of(const struct training_state *state, struct named_tensor *tensors) {
    const struct {
        const char *name;
        const real *values;
        size_t count;
    } all[MOST_VECTORS] = {
        {"weights", state->weights, state->parameters},
        {"velocity", state->velocity, state->parameters},
        {"square", state->square, state->parameters},
        {"average", state->average, state->parameters},
        {"running", state->running, state->statistics},
        {"average_running", state->average_running, state->statistics},
    };
    int count = 0;
    for (int i = 0; i < MOST_VECTORS; i++)
        if (all[i].values != NULL)
            tensors[count++] = (struct named_tensor){.name = all[i].name,
                                                     .type = TENSOR_F32,
                                                     .rank = 1,
                                                     .shape = {(int64_t)all[i].count},
                                                     .data = all[i].values};
    return count;
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
    struct named_tensor tensors[MOST_VECTORS];
    const struct metadata metadata[] = {
        {"format", format}, {"step", step}, {"config_hash", hash_text}};
    return safetensors_write(path, tensors, vectors_of(state, tensors), metadata, 3);
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
    struct named_tensor tensors[MOST_VECTORS];
    int count = vectors_of(state, tensors);
    for (int i = 0; i < count; i++)
        TRY(safetensors_copy(file, path, tensors[i].name, TENSOR_F32, 1, tensors[i].shape,
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
