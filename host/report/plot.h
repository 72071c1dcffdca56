/* A plot as inline SVG: works without a script, prints, and grows with the page. Colours are
 * classes of the style sheet, so that one drawing serves light and dark.
 *
 * Texts are 11 units of a drawing 440 wide: readable where the page gives it 340 to 600 pixels.
 */
#ifndef TAPER_PLOT_H
#define TAPER_PLOT_H

#include <stdio.h>

struct axis {
    const char *label; /* with its unit */
    double scale;      /* data times scale is what the ticks say */
    double low, high;  /* of what the ticks say: whole steps */
    double step;
    int decimals; /* of a tick */
    int whole;    /* counts: no ticks between them */
};

struct plot {
    FILE *file;
    struct axis x, y;
};

/* Grows around values that axis_include() is given; scale and label stay. */
struct axis axis_begin(const char *label, double scale);
void axis_include(struct axis *axis, double value);
void axis_finish(struct axis *axis); /* rounds to whole steps */

/* description: of the picture, for those who hear it. */
void plot_begin(struct plot *plot, FILE *file, const char *description, const struct axis *x,
                const struct axis *y);
void plot_end(const struct plot *plot);

/* A line through points: begin, every point, end. */
void plot_line_begin(const struct plot *plot, const char *class);
void plot_line_point(const struct plot *plot, double x, double y);
void plot_line_end(const struct plot *plot);

void plot_dot(const struct plot *plot, double x, double y, double radius, const char *class);
/* row: of the label, from the top, where several would stand on each other. */
void plot_vertical(const struct plot *plot, double x, int row, const char *class,
                   const char *label);

/* What is shown when the pointer, a finger or the keyboard is at a point; '\n' between lines. After
 * all dots, or these would lie over it. Keyboards stop at those with `stop`. */
void plot_tip(const struct plot *plot, double x, double y, int stop, const char *text);

#endif
