/* Training curves: loss and accuracy of the super-network and of the network found. */
#include "report/format.h"
#include "report/plot.h"
#include "report/sections.h"

enum { MOST_POINTS = 300 }; /* of a curve on the page: neighbours are averaged */

enum quantity { LOSS, ACCURACY };

static const struct curve *curve_of(const struct run_record *run, enum record_step step) {
    return step == RECORD_SUPERNET ? &run->supernet : &run->train;
}

static double value_of(const struct curve_point *point, enum quantity quantity) {
    return quantity == LOSS ? point->loss : point->accuracy;
}

/* The average of lines [first, first + stride) of the log, at the last of them. */
static struct curve_point average(const struct curve *curve, int first, int stride) {
    struct curve_point mean = {0};
    int end = first + stride < curve->count ? first + stride : curve->count;
    for (int i = first; i < end; i++) {
        mean.loss += curve->points[i].loss / (end - first);
        mean.accuracy += curve->points[i].accuracy / (end - first);
        mean.speed += curve->points[i].speed / (end - first);
    }
    mean.at = curve->points[end - 1].at;
    mean.rate = curve->points[end - 1].rate;
    return mean;
}

static int stride_of(const struct curve *curve) {
    return (curve->count + MOST_POINTS - 1) / MOST_POINTS;
}

static void draw_curve(const struct plot *plot, const struct curve *curve, enum quantity quantity,
                       int run) {
    char class[32];
    int stride = stride_of(curve);
    snprintf(class, sizeof class, "line run%d", run);
    plot_line_begin(plot, class);
    for (int i = 0; i < curve->count; i += stride) {
        struct curve_point point = average(curve, i, stride);
        plot_line_point(plot, point.at, value_of(&point, quantity));
    }
    plot_line_end(plot);
    snprintf(class, sizeof class, "dot run%d", run);
    if (curve->count > 0) /* also shows a curve of one point */
        plot_dot(plot, curve->points[curve->count - 1].at,
                 value_of(&curve->points[curve->count - 1], quantity), 3.2, class);
}

static void draw_tips(const struct plot *plot, const struct curve *curve, enum quantity quantity) {
    int stride = stride_of(curve);
    for (int i = 0; i < curve->count; i += stride) {
        struct curve_point point = average(curve, i, stride);
        char text[256], at[FORMAT_SIZE], steps[FORMAT_SIZE], speed[FORMAT_SIZE];
        snprintf(text, sizeof text,
                 "step %s of %s\nloss %.3f, accuracy %.1f %%\nlearning rate %.4g\n%s images/s",
                 format_count(at, point.at), format_count(steps, curve->steps), point.loss,
                 100 * point.accuracy, point.rate, format_count(speed, point.speed));
        plot_tip(plot, point.at, value_of(&point, quantity), i + stride >= curve->count, text);
    }
}

static void write_plot(const struct page *page, enum record_step step, enum quantity quantity) {
    struct plot plot;
    struct axis x = axis_begin("training steps", 1);
    struct axis y = quantity == LOSS ? axis_begin("loss (nats)", 1)
                                     : axis_begin("training images right (%)", 100);
    axis_include(&x, 0);
    for (int r = 0; r < page->count; r++) {
        const struct curve *curve = curve_of(&page->runs[r], step);
        axis_include(&x, curve->steps);
        for (int i = 0; i < curve->count; i++)
            axis_include(&y, value_of(&curve->points[i], quantity));
    }
    axis_finish(&x);
    axis_finish(&y);
    plot_begin(&plot, page->file, quantity == LOSS ? "Loss by step" : "Accuracy by step", &x, &y);
    for (int r = 0; r < page->count; r++)
        draw_curve(&plot, curve_of(&page->runs[r], step), quantity, r);
    for (int r = 0; r < page->count; r++)
        draw_tips(&plot, curve_of(&page->runs[r], step), quantity);
    plot_end(&plot);
}

static void write_step(const struct page *page, enum record_step step) {
    static const char *const titles[] = {
        [RECORD_SUPERNET] = "Super-network", [RECORD_TRAIN] = "Network found"};
    int points = 0;
    for (int r = 0; r < page->count; r++)
        points += curve_of(&page->runs[r], step)->count;
    if (points == 0) {
        fprintf(page->file, "<p class=\"none\">%s: no training is logged yet.</p>\n", titles[step]);
        return;
    }
    fputs("<div class=\"figures\">\n", page->file);
    for (int quantity = LOSS; quantity <= ACCURACY; quantity++) {
        fprintf(page->file, "<figure><h3>%s: %s</h3>\n", titles[step],
                quantity == LOSS ? "loss" : "accuracy");
        write_plot(page, step, (enum quantity)quantity);
        fputs("</figure>\n", page->file);
    }
    fputs("</div>\n", page->file);
}

void section_training(const struct page *page) {
    fputs("<section><h2>Training</h2>\n<p>Averages over the images since the point before, with "
          "augmentation; the super-network's are over the sub-networks that it drew.</p>\n",
          page->file);
    run_legend(page);
    write_step(page, RECORD_SUPERNET);
    write_step(page, RECORD_TRAIN);
    fputs("</section>\n", page->file);
}
