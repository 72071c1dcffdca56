/* Any bytes as a configuration: refused with one line, or taken; and what is taken survives being
 * written and read again, to the same hash of every step. A first line "# --set KEY=VALUE" is a
 * setting as well. */
#include "config/config.h"
#include "fuzz_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool setting_of(const uint8_t *data, size_t size, char *setting, size_t room) {
    static const char mark[] = "# --set ";
    size_t start = sizeof mark - 1;
    if (size <= start || memcmp(data, mark, start) != 0)
        return false;
    const uint8_t *end = memchr(data, '\n', size);
    size_t length = (end != NULL ? (size_t)(end - data) : size) - start;
    snprintf(setting, room, "%.*s", (int)length, (const char *)data + start);
    return true;
}

static void hash(const struct config *config, uint64_t hashes[3]) {
    for (int step = STEP_SUPERNET; step <= STEP_TRAIN; step++)
        if (config_hash(config, (enum config_step)step, &hashes[step]) != STATUS_OK)
            abort();
}

static void write_and_read_again(const struct config *config) {
    static char path[64];
    struct config again;
    uint64_t before[3], after[3];
    snprintf(path, sizeof path, "/dev/shm/taper-fuzz-%d.yaml", (int)getpid());
    if (config_write(config, path) != STATUS_OK ||
        config_read(&again, path, NULL, 0) != STATUS_OK) {
        fprintf(stderr, "%s\n", failure());
        abort();
    }
    hash(config, before);
    hash(&again, after);
    if (memcmp(before, after, sizeof before) != 0 || strcmp(config->out, again.out) != 0)
        abort();
    config_release(&again);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char setting[1024];
    const char *settings[] = {setting};
    struct config config;
    failure_clear();
    int count = setting_of(data, size, setting, sizeof setting);
    enum status status = config_read(&config, fuzz_file(0, data, size), settings, count);
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL)
        abort();
    if (status == STATUS_OK)
        write_and_read_again(&config);
    config_release(&config);
    return 0;
}
