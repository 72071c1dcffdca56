/* Shuffles and votes of a warp. */
#include "block.h"

namespace on_cpu {

enum { WARP = 32 };

/* The lanes of a warp, of which the last one of a block may have fewer. */
struct lanes {
    thread *first;
    int count;
};

static lanes lanes_of(const thread *thread) {
    size_t first = (size_t)thread->warp * WARP, all = at_work->threads.size();
    return {&at_work->threads[first], all - first < WARP ? (int)(all - first) : WARP};
}

/* Which lanes take part: those of the mask that have not ended. 0 if one of them is elsewhere. */
static unsigned gathered(const thread *caller, const lanes &lanes) {
    unsigned present = 0;
    for (int i = 0; i < lanes.count; i++) {
        const thread &lane = lanes.first[i];
        if (!(caller->mask >> i & 1) || lane.state == state::done)
            continue;
        if (lane.state != state::waiting)
            return 0;
        if (!lane.meets(*caller)) {
            if (is_of_warp(lane.kind))
                give_up("lanes of one mask meet in different warp operations");
            return 0;
        }
        present |= 1u << i;
    }
    return present;
}

/* The lane that lane `i` reads, by the rules of the programming guide: its own where the rule leads
 * out of the lanes' group of `width`. */
static int source_of(const thread &lane, int i) {
    int width = lane.width, group = i & ~(width - 1), own = i - group, source = own;
    switch (lane.kind) {
    case meeting::shuffle:
        source = lane.argument & (width - 1);
        break;
    case meeting::shuffle_up:
        source = own - lane.argument;
        break;
    case meeting::shuffle_down:
        source = own + lane.argument;
        break;
    case meeting::shuffle_xor:
        source = own ^ lane.argument;
        break;
    default:
        break;
    }
    return group + (source < 0 || source >= width ? own : source);
}

static uint64_t ballot(const lanes &lanes, unsigned present) {
    uint64_t votes = 0;
    for (int i = 0; i < lanes.count; i++)
        if (present >> i & 1 && lanes.first[i].value)
            votes |= (uint64_t)1 << i;
    return votes;
}

static uint64_t result_of(const lanes &lanes, unsigned present, int i) {
    const thread &lane = lanes.first[i];
    if (lane.kind == meeting::warp)
        return 0;
    if (lane.kind == meeting::ballot)
        return ballot(lanes, present);
    int source = source_of(lane, i);
    if (!(present >> source & 1))
        give_up("a shuffle reads a lane that does not take part");
    return lanes.first[source].value;
}

bool warp_meets(thread *caller) {
    lanes lanes = lanes_of(caller);
    unsigned present = gathered(caller, lanes);
    if (present == 0)
        return false;
    for (int i = 0; i < lanes.count; i++)
        if (present >> i & 1)
            lanes.first[i].result = result_of(lanes, present, i);
    for (int i = 0; i < lanes.count; i++)
        if (present >> i & 1)
            lanes.first[i].go_on();
    return true;
}

} // namespace on_cpu
