/* The search of a report: the trade-off with every sample, and the way through it. */
#include "report/html.h"
#include "report/plot.h"
#include "report/sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* More would make the page slow; the chosen samples keep theirs. */
enum { MOST_TIPS = 2000 };

/* One plot: y is the score; x a metric of the first run's search, or the iteration (metric -1). */
struct scatter {
    const struct page *page;
    int metric;
};

static const char *metric_name_of(const struct run_record *run, int metric) {
    return run->config.search.budgets[metric].metric.name;
}

/* Where the run keeps the metric of x; -1: it was searched under others. */
static int own_metric(const struct scatter *scatter, int run) {
    const struct run_record *of = &scatter->page->runs[run];
    const char *name =
        scatter->metric < 0 ? "" : metric_name_of(scatter->page->runs, scatter->metric);
    for (int i = 0; i < of->config.search.budget_count; i++)
        if (strcmp(metric_name_of(of, i), name) == 0)
            return i;
    return -1;
}

static bool is_shown(const struct scatter *scatter, int run) {
    return scatter->metric < 0 || own_metric(scatter, run) >= 0;
}

static double x_of(const struct scatter *scatter, int run, const struct sample_record *sample) {
    return scatter->metric < 0 ? sample->iteration : sample->metrics[own_metric(scatter, run)];
}

static void make_axes(const struct scatter *scatter, struct axis *x, struct axis *y) {
    for (int r = 0; r < scatter->page->count; r++) {
        const struct run_record *run = &scatter->page->runs[r];
        if (!is_shown(scatter, r))
            continue;
        for (int i = 0; i < run->sample_count; i++) {
            axis_include(x, x_of(scatter, r, &run->samples[i]));
            axis_include(y, run->samples[i].score);
        }
        if (scatter->metric >= 0 && run->sample_count > 0)
            axis_include(x, run->budgets[own_metric(scatter, r)]);
    }
    axis_finish(x);
    axis_finish(y);
}

static void draw_samples(const struct scatter *scatter, const struct plot *plot, int r) {
    char class[32];
    const struct run_record *run = &scatter->page->runs[r];
    snprintf(class, sizeof class, scatter->page->count == 1 ? "sample" : "sample run%d", r);
    for (int i = 0; i < run->sample_count; i++)
        plot_dot(plot, x_of(scatter, r, &run->samples[i]), run->samples[i].score, 2.6, class);
}

static void draw_chosen(const struct scatter *scatter, const struct plot *plot, int r) {
    char class[32];
    const struct run_record *run = &scatter->page->runs[r];
    snprintf(class, sizeof class, "line run%d", r);
    plot_line_begin(plot, class);
    for (int i = 0; i < run->sample_count; i++)
        if (run->samples[i].chosen)
            plot_line_point(plot, x_of(scatter, r, &run->samples[i]), run->samples[i].score);
    plot_line_end(plot);
    snprintf(class, sizeof class, "dot run%d", r);
    for (int i = 0; i < run->sample_count; i++)
        if (run->samples[i].chosen)
            plot_dot(plot, x_of(scatter, r, &run->samples[i]), run->samples[i].score, 3.6, class);
    const struct sample_record *best = record_best(run);
    snprintf(class, sizeof class, "ring run%d", r);
    if (best && run->search_done)
        plot_dot(plot, x_of(scatter, r, best), best->score, 7, class);
}

static void draw_tip(const struct scatter *scatter, const struct plot *plot, int r,
                     const struct sample_record *sample) {
    char text[512], metric[RECORD_TEXT], run[96] = "";
    const struct run_record *of = &scatter->page->runs[r];
    int first = scatter->metric < 0 ? 0 : own_metric(scatter, r);
    metric_text(metric_name_of(of, first), sample->metrics[first], metric, sizeof metric);
    if (scatter->page->count > 1)
        snprintf(run, sizeof run, "%c %.60s\n", 'A' + r, of->name);
    snprintf(text, sizeof text, "%ssample %d, iteration %d%s\n%s\n%.2f %% right", run,
             sample->number, sample->iteration, sample->chosen ? ", chosen" : "", metric,
             100 * sample->score);
    plot_tip(plot, x_of(scatter, r, sample), sample->score, sample->chosen, text);
}

/* The chosen ones last: theirs are what a pointer finds first. */
static void draw_tips(const struct scatter *scatter, const struct plot *plot, int r) {
    const struct run_record *run = &scatter->page->runs[r];
    for (int chosen = 0; chosen < 2; chosen++)
        for (int i = 0; i < run->sample_count; i++)
            if (run->samples[i].chosen == chosen && (chosen || run->sample_count <= MOST_TIPS))
                draw_tip(scatter, plot, r, &run->samples[i]);
}

static int by_metric(const void *a, const void *b, void *metric) {
    const struct sample_record *first = *(const struct sample_record *const *)a;
    const struct sample_record *second = *(const struct sample_record *const *)b;
    double x = first->metrics[*(int *)metric], y = second->metrics[*(int *)metric];
    if (x != y)
        return x < y ? -1 : 1;
    return first->score > second->score ? -1 : first->score < second->score;
}

/* The front: samples that no other one beats in both numbers. */
static void draw_front(const struct scatter *scatter, const struct plot *plot) {
    const struct run_record *run = scatter->page->runs;
    int count = run->sample_count, metric = scatter->metric;
    const struct sample_record **sorted = malloc((size_t)count * sizeof *sorted);
    double best = -INFINITY;
    if (sorted == NULL)
        return; /* a page without it says nothing wrong */
    for (int i = 0; i < count; i++)
        sorted[i] = &run->samples[i];
    qsort_r(sorted, (size_t)count, sizeof *sorted, by_metric, &metric);
    plot_line_begin(plot, "front");
    for (int i = 0; i < count; i++) {
        if (sorted[i]->score <= best)
            continue;
        if (isfinite(best))
            plot_line_point(plot, sorted[i]->metrics[metric], best);
        best = sorted[i]->score;
        plot_line_point(plot, sorted[i]->metrics[metric], best);
    }
    plot_line_end(plot);
    free(sorted);
}

static void draw_budget(const struct scatter *scatter, const struct plot *plot, int r) {
    const struct run_record *run = &scatter->page->runs[r];
    double budget = run->budgets[own_metric(scatter, r)];
    char class[32], label[32] = "budget";
    if (isnan(budget))
        return;
    snprintf(class, sizeof class, scatter->page->count == 1 ? "budget" : "budget run%d", r);
    if (scatter->page->count > 1)
        snprintf(label, sizeof label, "budget %c", 'A' + r);
    plot_vertical(plot, budget, r, class, label);
}

static void draw(const struct scatter *scatter, const struct axis *x, const struct axis *y,
                 const char *description) {
    struct plot plot;
    plot_begin(&plot, scatter->page->file, description, x, y);
    for (int r = 0; r < scatter->page->count; r++)
        if (is_shown(scatter, r))
            draw_samples(scatter, &plot, r);
    if (scatter->metric >= 0 && scatter->page->count == 1)
        draw_front(scatter, &plot);
    for (int r = 0; scatter->metric >= 0 && r < scatter->page->count; r++)
        if (is_shown(scatter, r))
            draw_budget(scatter, &plot, r);
    for (int r = 0; r < scatter->page->count; r++)
        if (is_shown(scatter, r))
            draw_chosen(scatter, &plot, r);
    for (int r = 0; r < scatter->page->count; r++)
        if (is_shown(scatter, r))
            draw_tips(scatter, &plot, r);
    plot_end(&plot);
}

static const char score_label[] = "hold-out images right (%)";

static void write_trade_off(const struct page *page, int metric) {
    const struct scatter scatter = {page, metric};
    char label[RECORD_TEXT], description[2 * RECORD_TEXT];
    const char *name = metric_name_of(page->runs, metric);
    double scale = metric_scale(name, page->runs->initial[metric]);
    metric_label(name, scale, label, sizeof label);
    struct axis x = axis_begin(label, scale), y = axis_begin(score_label, 100);
    make_axes(&scatter, &x, &y);
    snprintf(description, sizeof description, "Scores of all samples against %s", label);
    fputs("<figure><h3>Trade-off</h3>\n", page->file);
    draw(&scatter, &x, &y, description);
    fputs("<figcaption>Every sample the search scored", page->file);
    fputs(page->count == 1 ? " (grey), the chosen ones (blue; the ring is the network found) and "
                             "the front that no sample beats (dashed)."
                           : "; the chosen ones are joined, a ring is a network found.",
          page->file);
    for (int r = 0; r < page->count; r++) {
        if (is_shown(&scatter, r))
            continue;
        html_format(page->file, " %c was searched under other metrics.", 'A' + r);
    }
    fputs("</figcaption></figure>\n", page->file);
}

static void write_trajectory(const struct page *page) {
    const struct scatter scatter = {page, -1};
    struct axis x = axis_begin("iteration of the search", 1), y = axis_begin(score_label, 100);
    x.whole = 1;
    make_axes(&scatter, &x, &y);
    fputs("<figure><h3>Trajectory</h3>\n", page->file);
    draw(&scatter, &x, &y, "Scores of all samples by iteration");
    fputs("<figcaption>The samples of each iteration, and the one that became the current network."
          "</figcaption></figure>\n",
          page->file);
}

static bool any_samples(const struct page *page) {
    for (int r = 0; r < page->count; r++)
        if (page->runs[r].sample_count > 0)
            return true;
    return false;
}

void section_search(const struct page *page) {
    fputs("<section><h2>Search</h2>\n", page->file);
    if (any_samples(page)) {
        run_legend(page);
        fputs("<div class=\"figures\">\n", page->file);
        for (int i = 0; i < page->runs->config.search.budget_count; i++)
            write_trade_off(page, i);
        write_trajectory(page);
        fputs("</div>\n", page->file);
        section_points(page);
    } else {
        fputs("<p class=\"none\">Nothing is searched yet.</p>\n", page->file);
    }
    fputs("</section>\n", page->file);
}
