/* The median of a series of times and how sure it is, whatever their distribution. */
#ifndef TAPER_MEDIAN_H
#define TAPER_MEDIAN_H

struct median {
    double value;
    double low, high; /* the true median lies between them with at least 95 %; fewer than 6 numbers
                         cannot say that: their least and their largest */
};

/* sorted: rising; count at least 1. */
struct median median_of(const double *sorted, int count);

/* Numbers farther from the quartiles than three times the distance of these. */
int median_outliers(const double *sorted, int count);

void median_sort(double *numbers, int count);

#endif
