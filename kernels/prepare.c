/* The weights of convolutions, each laid out as its products read them. */
#include "cpu.h"

static enum status prepare(const struct convolution *convolution) {
    switch (convolution->kind) {
    case CONVOLUTION_DENSE:
        return dense_prepare(convolution);
    case CONVOLUTION_POINTWISE:
        return pointwise_prepare(convolution);
    case CONVOLUTION_DEPTHWISE:
        return depthwise_prepare(convolution);
    }
    __builtin_unreachable();
}

enum status convolutions_prepare(const struct convolution *const *convolutions, int count) {
    for (int i = 0; i < count; i++)
        TRY(prepare(convolutions[i]));
    return STATUS_OK;
}
