/* Stands for onnx.c where the program is built without protobuf-c and onnx.proto. */
#include "export/export.h"

bool onnx_available(void) {
    return false;
}

enum status onnx_write(const struct exported *exported, bool fold, const char *path) {
    (void)exported;
    (void)fold;
    return fail(STATUS_FAILED,
                "%s cannot be written: this taper was built without ONNX; install "
                "libprotobuf-c-dev, protobuf-c-compiler and libonnx-dev, and build it again",
                path);
}
