/* Failures on demand, and what is left behind. */
#include "runtime.h"

namespace on_cpu {

static long calls_until_failure = setting("CUDA_ON_CPU_FAIL_ALLOCATION", 0); /* 0: off */
static long alive;

bool is_refused() {
    return calls_until_failure > 0 && --calls_until_failure == 0;
}

void count_alive(int change) {
    alive += change;
}

} // namespace on_cpu

/* For a program that loads a library with this inside. As allocate_fail_at(): the n-th from now
 * on. */
extern "C" void cuda_on_cpu_fail_at(long n) {
    on_cpu::calls_until_failure = n;
}

/* Pieces of memory, streams, events and graphs that were not given back. */
extern "C" long cuda_on_cpu_alive() {
    return on_cpu::alive;
}
