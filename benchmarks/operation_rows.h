/* What bench_operations prints: a row per operation and call, and a summary per kind of operation.
 */
#ifndef TAPER_BENCHMARK_OPERATION_ROWS_H
#define TAPER_BENCHMARK_OPERATION_ROWS_H

#include "operand_sets.h"

enum { MOST_ROWS = 512, MOST_KIND = 64 };

/* What all rows of some operand sets share. */
struct operation_bench {
    const struct operand_sets *sets;
    const char *device, *widths;
    int groups, images;
    double copy_speed; /* bytes a second, read and written */
};

struct operation_row {
    char kind[MOST_KIND];
    const char *layer;
    enum call call;
    double time, bytes, macs;
};

/* Fills in bytes and macs, kind. */
void operation_row_count(const struct pass *pass, const struct step *step,
                         struct operation_row *row);
void operation_row_name(const struct step *step, struct operation_row *row);
void operation_row_print(const struct operation_bench *bench, const struct step *step,
                         const struct operation_row *row);
void operation_rows_summary(const struct operation_bench *bench, const struct operation_row *rows,
                            int count);

double median_of(double *values, int count); /* sorts them */

#endif
