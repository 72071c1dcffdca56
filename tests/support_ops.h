/* What every backend's operations must pass, on the whole case list. Asserts with cmocka. */
#ifndef TAPER_SUPPORT_OPS_H
#define TAPER_SUPPORT_OPS_H

#include "ops.h"

void check_no_slot_is_empty(const struct ops *ops);

/* Outputs, gradients, partial sums are the reference's; inputs, dropped parts, what lies behind a
 * packed segment, and guards stay as they were. Prints the largest share of the limit. */
void check_against_reference(const struct ops *ops);

/* Of cases of CASE_GROUPS groups: NaN or numbers in spare lanes, dropped channels and weights,
 * scratch: the same bits. */
void check_spare_values_change_no_bit(const struct ops *ops);

/* Of cases of CASE_GROUPS groups: the same trial twice, the same bits. */
void check_the_same_bits_twice(const struct ops *ops);

/* One slice of all segments, or a slice for each group: the same bits. */
void check_slices_do_not_matter(const struct ops *ops);

#endif
