/* Which classes a network takes for which others: memory follows the wrong answers, not the square
 * of the classes. */
#ifndef TAPER_CONFUSIONS_H
#define TAPER_CONFUSIONS_H

struct confusion {
    int label, predicted; /* different classes */
    int images;
};

/* list[count]: any confusions, as one for every wrong answer. Those of the same two classes become
 * one; the most images come first, then the smallest label and the smallest answer. Returns how
 * many remain. */
int confusions_merge(struct confusion *list, int count);

#endif
