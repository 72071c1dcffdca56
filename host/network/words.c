#include "network/words.h"
#include "network/network.h"

const char *const layer_words[] = {[LAYER_CONVOLUTION] = "convolution",
                                   [LAYER_BLOCK] = "block",
                                   [LAYER_POOL] = "pool",
                                   [LAYER_LINEAR] = "linear",
                                   NULL};
const char *const activation_words[] = {[ACTIVATION_NONE] = "none",
                                        [ACTIVATION_RELU] = "relu",
                                        [ACTIVATION_RELU6] = "relu6",
                                        [ACTIVATION_HARD_SWISH] = "hard_swish",
                                        [ACTIVATION_HARD_SIGMOID] = "hard_sigmoid",
                                        NULL};
const char *const bypass_words[] = {[BYPASS_CROP] = "crop", [BYPASS_POOL] = "pool", NULL};
