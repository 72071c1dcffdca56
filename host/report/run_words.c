/* What several sections of a report say of a run or a metric. */
#include "report/format.h"
#include "report/html.h"
#include "report/sections.h"

#include <math.h>
#include <string.h>

static void letter(const struct page *page, int run) {
    fprintf(page->file, "<span class=\"badge run%d\">%c</span> ", run, 'A' + run);
}

void run_badge(const struct page *page, int run) {
    if (page->count == 1)
        return;
    letter(page, run);
    html_text(page->file, page->runs[run].name);
}

void run_legend(const struct page *page) {
    if (page->count == 1)
        return;
    fputs("<p class=\"legend\">", page->file);
    for (int i = 0; i < page->count; i++) {
        fputs("<span>", page->file);
        run_badge(page, i);
        fputs("</span>\n", page->file);
    }
    fputs("</p>\n", page->file);
}

bool run_trained(const struct run_record *run) {
    return !isnan(run->test_accuracy);
}

double run_seconds(const struct run_record *run) {
    double sum = 0;
    for (int i = 0; i < RECORD_STEPS; i++)
        sum += run->seconds[i];
    return sum;
}

struct cost run_initial_cost(const struct run_record *run) {
    struct subnetwork largest = subnetwork_largest(&run->config.network);
    return network_cost(&run->config.network, &largest);
}

struct cost run_cost(const struct run_record *run) {
    struct subnetwork whole = subnetwork_largest(&run->network);
    return network_cost(&run->network, &whole);
}

static bool is_count(const char *metric) {
    return strcmp(metric, "macs") == 0 || strcmp(metric, "parameters") == 0;
}

static const char *metric_words(const char *metric) {
    return strcmp(metric, "macs") == 0 ? "MACs" : metric;
}

double metric_scale(const char *metric, double typical) {
    if (!is_count(metric))
        return 1;
    return typical >= 1e6 || strcmp(metric, "macs") == 0 ? 1e-6 : 1e-3;
}

void metric_label(const char *metric, double scale, char *text, size_t size) {
    if (!is_count(metric))
        snprintf(text, size, "%s (as its command measures)", metric);
    else
        snprintf(text, size, "%s (%s)", metric_words(metric),
                 scale == 1e-6 ? "millions" : "thousands");
}

void metric_text(const char *metric, double value, char *text, size_t size) {
    char number[FORMAT_SIZE];
    if (!is_count(metric))
        snprintf(text, size, "%s %.4g", metric, value);
    else if (strcmp(metric, "macs") == 0)
        snprintf(text, size, "%s MACs", format_millions(number, value, 2));
    else
        snprintf(text, size, "%s %s", format_count(number, value), metric);
}
