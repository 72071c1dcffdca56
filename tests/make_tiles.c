/* For dry_run.sh: writes a folder of synthetic colour tiles of many classes, as JPEG files.
 *
 *   make_tiles FOLDER CLASSES SIZE TRAIN TEST
 *
 * FOLDER/{train,val}/CLASS/NUMBER.jpg of SIZE x SIZE, TRAIN and TEST of them in each class.
 */
#include "data/synthetic.h"
#include "support/file.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static enum status write_tile(const char *folder, int label, int size, int number) {
    char path[PATH_MAX + 16];
    uint8_t *file;
    size_t bytes;
    TRY(synthetic_jpeg((uint64_t)label, (uint32_t)number, size, size, &file, &bytes));
    snprintf(path, sizeof path, "%s/%d.jpg", folder, number);
    FILE *out = fopen(path, "wb"); /* no sync for each of thousands */
    bool written = out != NULL && fwrite(file, bytes, 1, out) == 1;
    if (out != NULL && fclose(out) != 0)
        written = false;
    free(file);
    return written ? STATUS_OK : fail(STATUS_FAILED, "cannot write %s", path);
}

static enum status write_class(const char *folder, const char *part, int label, int size, int first,
                               int count) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s/class%04d", folder, part, label);
    TRY(folder_make(path));
    for (int i = 0; i < count; i++)
        TRY(write_tile(path, label, size, first + i));
    return STATUS_OK;
}

static enum status write_all(const char *folder, int classes, int size, int train, int test) {
    for (int label = 0; label < classes; label++) {
        TRY(write_class(folder, "train", label, size, 0, train));
        TRY(write_class(folder, "val", label, size, train, test));
    }
    return STATUS_OK;
}

int main(int argc, char **argv) {
    int numbers[4] = {0};
    for (int i = 0; argc == 6 && i < 4; i++)
        numbers[i] = atoi(argv[2 + i]);
    if (numbers[0] < 1 || numbers[1] < 8 || numbers[1] > 1024 || numbers[2] < 1 || numbers[3] < 1) {
        fprintf(stderr, "usage: make_tiles FOLDER CLASSES SIZE TRAIN TEST\n");
        return STATUS_USAGE;
    }
    enum status status = write_all(argv[1], numbers[0], numbers[1], numbers[2], numbers[3]);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
