/* The keys of a layer and of a budget, for the parser and for the reference alike. */
#include "config/keys.h"

enum {
    ON_CONVOLUTION = 1 << LAYER_CONVOLUTION,
    ON_BLOCK = 1 << LAYER_BLOCK,
    ON_POOL = 1 << LAYER_POOL,
    ON_LINEAR = 1 << LAYER_LINEAR,
    ON_PIXELS = ON_CONVOLUTION | ON_BLOCK,
    ON_WEIGHTS = ON_PIXELS | ON_LINEAR,
    ON_ALL = ON_WEIGHTS | ON_POOL
};

const struct map_key layer_keys[] = {
    {"name", ON_ALL, "letters, digits, '_', '-' and '.', each name once"},
    {"type", ON_ALL, "convolution, block (expand, depthwise, project), pool or linear"},
    {"input", ON_ALL, "name of the layer before, which is the default"},
    {"expand", ON_BLOCK, "channels between; without it there is no expansion layer"},
    {"kernel", ON_PIXELS, "odd"},
    {"width", ON_WEIGHTS, "channels that come out"},
    {"stride", ON_PIXELS, "1 or 2, default 1"},
    {"norm", ON_CONVOLUTION, "yes or no (then a bias), default yes"},
    {"residual", ON_BLOCK, "yes or no: add the input; default: at stride 1 where the widths agree"},
    {"squeeze_excite", ON_BLOCK, "yes or no, default no"},
    {"bypass", ON_PIXELS,
     "T: input channels below it replace dropped filters; default: the width of a block at stride "
     "1"},
    {"bypass_kind", ON_PIXELS,
     "crop at stride 1, pool (of 2x2 pixels) at stride 2; given pool, bypass defaults to the "
     "width"},
    {"may_be_absent", ON_BLOCK, "yes or no, default no: the search may drop the whole block"},
    {"present", ON_BLOCK, "yes or no: fixed (a found network has it)"},
    {"activation", ON_WEIGHTS,
     "none, relu, relu6, hard_swish or hard_sigmoid; also within a block"},
};
const int layer_key_count = sizeof layer_keys / sizeof layer_keys[0];

const struct map_key budget_keys[] = {
    {"metric", 0,
     "macs, parameters, latency (milliseconds, measured here), latency_table (the same as a sum "
     "from latency.table), memory (bytes of such a pass), or any "
     "name for what a command measures"},
    {"share", 0, "the most that it may be, as a share of the initial network's; or:"},
    {"value", 0, "the same as a number in the metric's unit"},
    {"command", 0, "answers {\"id\": 7, \"subnetwork\": {...}} with {\"id\": 7, \"value\": 12.5}"},
    {"deadline", 0, "seconds that one answer of the command may take, default 60"},
};
const int budget_key_count = sizeof budget_keys / sizeof budget_keys[0];

enum status check_map_keys(const struct node *map, const struct map_key *known, int count) {
    const char *names[MAX_MAP_KEYS];
    for (int i = 0; i < count; i++)
        names[i] = known[i].name;
    return check_known(map, names, count);
}
