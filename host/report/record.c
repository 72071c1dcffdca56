#include "report/record.h"

#include <stdio.h>
#include <stdlib.h>

const char *record_path(const struct run_record *record, const char *name, char path[RECORD_PATH]) {
    snprintf(path, RECORD_PATH, "%.500s/%.90s", record->folder, name);
    return path;
}

void record_release(struct run_record *record) {
    free(record->config_text);
    free(record->samples);
    free(record->supernet.points);
    free(record->train.points);
    free(record->evaluation.classes);
    free(record->evaluation.weakest);
    free(record->evaluation.confusion);
    free(record->evaluation.confused);
    free(record->evaluation.hardest);
    json_decref(record->evaluation.json);
    bad_pictures_release(record->bad);
    network_release(&record->network);
    config_release(&record->config);
}

const struct sample_record *record_best(const struct run_record *record) {
    for (int i = record->sample_count - 1; i >= 0; i--)
        if (record->samples[i].chosen)
            return &record->samples[i];
    return NULL;
}
