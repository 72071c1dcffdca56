#include "training/evaluate_found.h"
#include "support/file.h"
#include "training/evaluation_file.h"
#include "training/trained.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* found -> evaluation.json, found-3 -> evaluation-3.json */
static const char *evaluation_path(const struct run *run, const char *name, char path[RUN_PATH]) {
    char file[64];
    snprintf(file, sizeof file, "evaluation%s.json", name + strlen("found"));
    return run_path(run, file, path);
}

static enum status predict(struct run *run, const char *name, struct predictions *predictions) {
    struct trained trained;
    const struct pictures *test = &run->test;
    enum status status;
    TRY(trained_open(&trained, &run->config, name, run->ops, run->pool));
    TRY_CLEANUP(run_test_pictures(run, &trained.network));
    TRY_CLEANUP(
        predictions_create(predictions, test->count, trained.network.classes, test->labels));
    status = trained_predict(&trained, test, predictions->logits);
done:
    trained_close(&trained);
    return status;
}

enum status evaluate_found(struct run *run, const char *name, const char *predictions_path,
                           struct tables *tables) {
    struct predictions predictions = {0};
    char path[RUN_PATH];
    enum status status;
    *tables = (struct tables){0};
    TRY_CLEANUP(predict(run, name, &predictions));
    TRY_CLEANUP(tables_make(tables, &predictions));
    if (predictions_path != NULL)
        TRY_CLEANUP(predictions_write(&predictions, predictions_path, name));
    const struct class_names names = run_class_names(run);
    TRY_CLEANUP(
        evaluation_write(evaluation_path(run, name, path), name, tables, &names, &run->test));
done:
    predictions_release(&predictions);
    return status;
}

bool evaluation_is_done(const struct run *run, const char *name) {
    char path[RUN_PATH], weights[RUN_PATH], file[64];
    struct stat evaluation, result;
    snprintf(file, sizeof file, "%s.safetensors", name);
    if (stat(evaluation_path(run, name, path), &evaluation) != 0 ||
        stat(run_path(run, file, weights), &result) != 0)
        return false;
    return evaluation.st_mtim.tv_sec > result.st_mtim.tv_sec ||
           (evaluation.st_mtim.tv_sec == result.st_mtim.tv_sec &&
            evaluation.st_mtim.tv_nsec >= result.st_mtim.tv_nsec);
}
