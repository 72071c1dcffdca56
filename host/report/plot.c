#include "report/plot.h"
#include "report/format.h"
#include "report/html.h"

#include <math.h>
#include <string.h>

/* In units of the drawing. */
enum { WIDTH = 440, HEIGHT = 290, LEFT = 46, RIGHT = 428, TOP = 30, BOTTOM = 242 };
enum { LETTER = 6, LINE = 15, TIP_MARGIN = 7 };
static const double MOST = 1e100; /* keeps differences finite */

struct axis axis_begin(const char *label, double scale) {
    return (struct axis){.label = label, .scale = scale, .low = INFINITY, .high = -INFINITY};
}

void axis_include(struct axis *axis, double value) {
    double shown = value * axis->scale;
    if (!isfinite(shown) || fabs(shown) > MOST)
        return;
    axis->low = fmin(axis->low, shown);
    axis->high = fmax(axis->high, shown);
}

/* 1, 2 or 5 times a power of ten, that cuts the range in 3 to 6. */
static double round_step(double range) {
    double power = pow(10, floor(log10(range / 4)));
    double times = range / 4 / power;
    return power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
}

void axis_finish(struct axis *axis) {
    if (axis->low > axis->high)
        axis->low = axis->high = 0;
    if (axis->high - axis->low <= 1e-9 * fabs(axis->high)) {
        double around = axis->high == 0 ? 1 : 0.1 * fabs(axis->high);
        axis->low -= around;
        axis->high += around;
    }
    axis->step = round_step(axis->high - axis->low);
    if (axis->whole)
        axis->step = fmax(axis->step, 1);
    axis->low = axis->step * floor(axis->low / axis->step + 1e-9);
    axis->high = axis->step * ceil(axis->high / axis->step - 1e-9);
    axis->decimals = axis->step >= 1 ? 0 : (int)ceil(-log10(axis->step) - 1e-9);
}

static double place(const struct axis *axis, double value, double from, double to) {
    double share = (value * axis->scale - axis->low) / (axis->high - axis->low);
    return from + (to - from) * (isfinite(share) ? fmin(fmax(share, 0), 1) : 0);
}

static double at_x(const struct plot *plot, double x) {
    return place(&plot->x, x, LEFT, RIGHT);
}

static double at_y(const struct plot *plot, double y) {
    return place(&plot->y, y, BOTTOM, TOP);
}

static const char *tick_text(const struct axis *axis, double value, char text[FORMAT_SIZE]) {
    if (fabs(value) >= 1e9 || axis->decimals > 6)
        snprintf(text, FORMAT_SIZE, "%.3g", value);
    else if (axis->decimals == 0 && value >= 0)
        format_count(text, value);
    else
        snprintf(text, FORMAT_SIZE, "%.*f", axis->decimals, value);
    return text;
}

static int ticks(const struct axis *axis) {
    return (int)lround((axis->high - axis->low) / axis->step);
}

static void draw_axes(const struct plot *plot) {
    char text[FORMAT_SIZE];
    FILE *file = plot->file;
    for (int i = 0; i <= ticks(&plot->y); i++) {
        double value = plot->y.low + i * plot->y.step, y = at_y(plot, value / plot->y.scale);
        fprintf(file, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, y, RIGHT);
        fprintf(file, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                LEFT - 6, y + 4, tick_text(&plot->y, value, text));
    }
    for (int i = 0; i <= ticks(&plot->x); i++) {
        double value = plot->x.low + i * plot->x.step, x = at_x(plot, value / plot->x.scale);
        fprintf(file, "<path class=\"axis\" d=\"M%.1f %dv4\"/>", x, BOTTOM);
        fprintf(file, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                x, BOTTOM + 17, tick_text(&plot->x, value, text));
    }
    fprintf(file, "<path class=\"axis\" d=\"M%d %dH%d\"/>\n", LEFT, BOTTOM, RIGHT);
    fputs("<text class=\"label\" x=\"2\" y=\"14\">", file);
    html_text(file, plot->y.label);
    fprintf(file, "</text><text class=\"label\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", RIGHT,
            BOTTOM + 37);
    html_text(file, plot->x.label);
    fputs("</text>\n", file);
}

void plot_begin(struct plot *plot, FILE *file, const char *description, const struct axis *x,
                const struct axis *y) {
    *plot = (struct plot){.file = file, .x = *x, .y = *y};
    fprintf(file, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    html_text(file, description);
    fputs("\">\n", file);
    draw_axes(plot);
}

void plot_end(const struct plot *plot) {
    fputs("</svg>\n", plot->file);
}

void plot_line_begin(const struct plot *plot, const char *class) {
    fprintf(plot->file, "<polyline class=\"%s\" points=\"", class);
}

void plot_line_point(const struct plot *plot, double x, double y) {
    fprintf(plot->file, "%.1f,%.1f ", at_x(plot, x), at_y(plot, y));
}

void plot_line_end(const struct plot *plot) {
    fputs("\"/>\n", plot->file);
}

void plot_dot(const struct plot *plot, double x, double y, double radius, const char *class) {
    fprintf(plot->file, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%g\"/>\n", class,
            at_x(plot, x), at_y(plot, y), radius);
}

void plot_vertical(const struct plot *plot, double x, int row, const char *class,
                   const char *label) {
    double at = at_x(plot, x);
    int right = at < (LEFT + RIGHT) / 2;
    fprintf(plot->file, "<g class=\"%s\"><path d=\"M%.1f %dV%d\"/>", class, at, TOP, BOTTOM);
    fprintf(plot->file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", at + (right ? 5 : -5),
            TOP + 10 + row * LINE, right ? "start" : "end");
    html_text(plot->file, label);
    fputs("</text></g>\n", plot->file);
}

/* Letters of the longest line, and how many lines there are. */
static int measure(const char *text, int *lines) {
    int longest = 0;
    *lines = 0;
    for (const char *line = text; line; ++*lines) {
        const char *end = strchr(line, '\n');
        int length = end ? (int)(end - line) : (int)strlen(line);
        longest = length > longest ? length : longest;
        line = end ? end + 1 : NULL;
    }
    return longest;
}

static void write_lines(FILE *file, double left, double top, const char *text) {
    int number = 0;
    for (const char *line = text; line; number++) {
        const char *end = strchr(line, '\n');
        fprintf(file, "<text x=\"%.1f\" y=\"%.1f\">", left + TIP_MARGIN,
                top + TIP_MARGIN + 9 + number * LINE);
        html_format(file, "%.*s", end ? (int)(end - line) : (int)strlen(line), line);
        fputs("</text>", file);
        line = end ? end + 1 : NULL;
    }
}

void plot_tip(const struct plot *plot, double x, double y, int stop, const char *text) {
    int lines, letters = measure(text, &lines);
    double width = letters * LETTER + 2 * TIP_MARGIN, height = lines * LINE + 2 * TIP_MARGIN - 4;
    double at = at_x(plot, x), on = at_y(plot, y);
    double left = fmin(fmax(at - width / 2, 1), WIDTH - 1 - width);
    double top = on - height - 10 < 0 ? on + 10 : on - height - 10;
    fprintf(plot->file, "<g class=\"point\"%s><circle cx=\"%.1f\" cy=\"%.1f\" r=\"8\"/>",
            stop ? " tabindex=\"0\"" : "", at, on);
    fprintf(plot->file,
            "<g class=\"tip\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
            "rx=\"4\"/>",
            left, top, width, height);
    write_lines(plot->file, left, top, text);
    fputs("</g></g>\n", plot->file);
}
