#include "support_tiny.h"
#include "support_network.h"

void network_tiny(struct network *network, int size, int channels, int classes) {
    network_begin(network, size, size, channels, classes);
    network_add(network,
                (struct layer){.name = "stem",
                               .kind = LAYER_CONVOLUTION,
                               .activation = ACTIVATION_RELU6,
                               .norm = true},
                (struct dimensions){.width = OPTIONS(12, 8), .kernel = OPTIONS(3)});
    network_add(network,
                (struct layer){.name = "one",
                               .kind = LAYER_BLOCK,
                               .activation = ACTIVATION_RELU6,
                               .residual = true,
                               .bypass = 12},
                (struct dimensions){.width = OPTIONS(12, 8, 4),
                                    .expand = OPTIONS(24, 16, 9),
                                    .kernel = OPTIONS(5, 3),
                                    .may_be_absent = true});
    network_add(network,
                (struct layer){.name = "two",
                               .kind = LAYER_BLOCK,
                               .stride = 2,
                               .activation = ACTIVATION_HARD_SWISH,
                               .squeeze_excite = true},
                (struct dimensions){.width = OPTIONS(16, 8),
                                    .expand = OPTIONS(32, 17),
                                    .kernel = OPTIONS(7, 5, 3)});
    network_add_pool(network);
    network_add_classifier(network);
}
