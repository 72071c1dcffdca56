#include "metric/median.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void median_sort(double *numbers, int count) {
    qsort(numbers, (size_t)count, sizeof *numbers, compare);
}

/* How many numbers may be left out at each end: each is below the true median with probability 1/2,
 * so their count is binomial, and each tail may have 2.5 %. */
static int left_out(int count) {
    double tail = 0;
    for (int below = 0; below < count; below++) {
        tail += exp(lgamma(count + 1.0) - lgamma(below + 1.0) - lgamma(count - below + 1.0) -
                    count * log(2));
        if (tail > 0.025)
            return below;
    }
    return 0;
}

struct median median_of(const double *sorted, int count) {
    int out = left_out(count);
    return (struct median){.value = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2,
                           .low = sorted[out > 0 ? out - 1 : 0],
                           .high = sorted[out > 0 ? count - out : count - 1]};
}

int median_outliers(const double *sorted, int count) {
    double first = sorted[count / 4], third = sorted[(count - 1) - count / 4];
    double reach = 3 * (third - first);
    int outliers = 0;
    for (int i = 0; i < count; i++)
        outliers += sorted[i] < first - reach || sorted[i] > third + reach;
    return outliers;
}
