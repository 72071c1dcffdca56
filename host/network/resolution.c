/* The sizes of pictures that a network reads: one, or a choice of several. */
#include "network/network.h"

static bool has_choice(const struct network *network) {
    return network->choice_count > RESOLUTION_CHOICE &&
           network->choices[RESOLUTION_CHOICE].kind == CHOICE_RESOLUTION;
}

int network_resolutions(const struct network *network) {
    return has_choice(network) ? network->choices[RESOLUTION_CHOICE].count : 1;
}

struct resolution network_resolution(const struct network *network, int option) {
    if (!has_choice(network))
        return (struct resolution){network->height, network->width};
    return (struct resolution){network->choices[RESOLUTION_CHOICE].options[option],
                               network->widths[option]};
}

int subnetwork_resolution(const struct network *network, const struct subnetwork *sub) {
    return has_choice(network) ? sub->option[RESOLUTION_CHOICE] : 0;
}

int network_find_resolution(const struct network *network, const struct network *alone) {
    for (int option = 0; option < network_resolutions(network); option++) {
        struct resolution size = network_resolution(network, option);
        if (size.height == alone->height && size.width == alone->width)
            return option;
    }
    return -1;
}

enum status network_check_resolutions(const struct network *network) {
    int count = network_resolutions(network);
    if (count > MAX_RESOLUTIONS)
        return fail(STATUS_USAGE, "pictures of %d sizes are more than %d", count, MAX_RESOLUTIONS);
    struct resolution last = network_resolution(network, 0);
    if (last.height != network->height || last.width != network->width)
        return fail(STATUS_USAGE, "the first size of the pictures is %dx%d, not %dx%d", last.height,
                    last.width, network->height, network->width);
    for (int option = 1; option < count; option++) {
        struct resolution size = network_resolution(network, option);
        if (size.height >= last.height || size.width >= last.width)
            return fail(STATUS_USAGE, "the sizes of the pictures must fall (%dx%d, %dx%d)",
                        last.height, last.width, size.height, size.width);
        if (size.height < 1 || size.width < 1)
            return fail(STATUS_USAGE, "pictures of %dx%d have no pixels", size.height, size.width);
        last = size;
    }
    return STATUS_OK;
}
