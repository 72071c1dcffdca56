/* Asynchronous copies to shared memory. A card makes them some time before the wait; here they are
 * made in the wait, so that who reads without waiting reads what was there before. */
#include "block.h"

namespace on_cpu {

static std::vector<std::vector<late_copy>> &groups() {
    return static_cast<thread *>(current)->copies;
}

void copy_late(void *shared, const void *global, size_t size) {
    if (groups().empty())
        groups().emplace_back();
    groups().back().push_back({shared, global, size});
}

void end_group_of_copies() {
    if (groups().empty())
        groups().emplace_back();
    groups().emplace_back();
}

/* The last group is the one that has not ended. */
void wait_for_copies(size_t pending) {
    for (; groups().size() > pending + 1; groups().erase(groups().begin()))
        for (const late_copy &copy : groups().front())
            memcpy(copy.shared, copy.global, copy.size);
}

} // namespace on_cpu
