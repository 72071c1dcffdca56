/* A latency table against measurements from end to end. */
#ifndef TAPER_TABLE_CHECK_H
#define TAPER_TABLE_CHECK_H

#include "metric/bench.h"
#include "metric/latency_table.h"

enum { TABLE_CHECKS = 30 };

struct table_checked {
    struct subnetwork sub;
    double table, measured; /* milliseconds */
};
struct table_check {
    int count; /* filled so far */
    struct table_checked networks[TABLE_CHECKS];
    double mean_error, worst_error; /* shares of what was measured, without signs */
    int worst;                      /* its network */
    double
        speed; /* median of measured / table: how much slower than for the table the machine is */
    double level_error; /* the mean error once the table is multiplied by it */
    double tau;         /* Kendall's tau-b; 1 for fewer than two networks */
};

/* Random sub-networks of the seed, whole passes by turns with the largest one's, of whose usual
 * time they count as a share; so that a machine's speed is the same for all of them. All are summed
 * before the first is measured. */
enum status table_check(struct table_check *check, const struct latency_table *table,
                        const struct bench *bench, const struct network *network, uint64_t seed);
void table_check_summarise(struct table_check *check);

/* A table of another device or number of threads is an error, unless that is on purpose; one of
 * another number of pictures always is. */
enum status latency_table_fits(const struct latency_table *table, const struct bench *bench);

#endif
