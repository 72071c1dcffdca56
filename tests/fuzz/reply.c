/* Any bytes as what a metric's command writes: through a pipe, line by line, each as the answer to
 * question 1. A number that is taken is finite and at least 0. */
#include "metric/reply.h"
#include "metric/process.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_IN_A_PIPE = 1 << 16 };

static void understand(const char *line) {
    static const struct metric_config config = {.name = "delay", .command = "./measure"};
    double value = -1;
    failure_clear();
    enum status status = reply_value(&config, line, 1, &value);
    bool taken = isfinite(value) && value >= 0;
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL ||
        taken != (status == STATUS_OK))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct process process;
    int ends[2];
    size_t sent = size < MOST_IN_A_PIPE ? size : MOST_IN_A_PIPE;
    if (pipe(ends) != 0 || write(ends[1], data, sent) != (ssize_t)sent)
        abort();
    close(ends[1]);
    process.from = ends[0];
    process.rest = 0;
    char *line;
    if (process_read_line(&process, &line, process_now() + 10) == PROCESS_OK) {
        understand(line);
        size_t length = strlen(line);
        process_has_more(&process);
        /* what came behind it, as further lines */
        const char *at = (const char *)data + length + 1, *end = (const char *)data + sent;
        while (at < end) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            size_t one = (size_t)((newline != NULL ? newline : end) - at);
            char *copy = strndup(at, one);
            understand(copy);
            free(copy);
            at += one + 1;
        }
    }
    close(ends[0]);
    return 0;
}
