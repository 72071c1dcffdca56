#include "fuzz_source.h"
#include "data/class_names.h"
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void use(const struct picture_source *source, size_t file_size) {
    struct picture_bytes bytes = {0};
    char name[PICTURE_NAME], class[MAX_CLASS_NAME];
    int classes = picture_source_classes(source);
    const struct data_config config = {0};
    const struct class_names names = {&config, picture_source_class_list(source)};
    for (int i = 0; i < picture_source_count(source); i++) {
        int label = picture_source_label(source, i);
        if (label < 0 || label >= classes || strchr(picture_source_name(source, i, name), '\n'))
            abort();
        if (strlen(class_name(&names, label, class)) >= MAX_CLASS_NAME)
            abort();
        if (picture_source_read(source, i, &bytes) == STATUS_OK &&
            (bytes.size == 0 || bytes.size > file_size))
            abort();
        failure_clear();
    }
    for (const char *at = NULL; (at = sentences_next(picture_source_faults(source), at)) != NULL;)
        if (strchr(at, '\n') != NULL)
            abort();
    picture_bytes_release(&bytes);
}

void fuzz_source(const char *type, const uint8_t *file, size_t size) {
    struct data_config config = {0};
    struct picture_source *source;
    snprintf(config.source, sizeof config.source, "%s", type);
    snprintf(config.train, sizeof config.train, "%s", fuzz_file(0, file, size));
    failure_clear();
    enum status status = picture_source_open(&source, &config, DATA_TRAIN, NULL);
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL)
        abort();
    if (status == STATUS_OK)
        use(source, size);
    picture_source_close(source);
}
