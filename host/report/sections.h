/* The parts of a report, in the order of the page. One run, or several side by side: then every
 * part shows what can be compared, and a run's colour and letter are the same in all of them.
 */
#ifndef TAPER_SECTIONS_H
#define TAPER_SECTIONS_H

#include "report/record.h"
#include <stdio.h>

enum { MOST_RUNS = 8 };

struct page {
    FILE *file;
    const struct run_record *runs;
    int count;
};

void section_headline(const struct page *page);    /* the result in a sentence and four numbers */
void section_search(const struct page *page);      /* trade-off and trajectory */
void section_points(const struct page *page);      /* the trade-off curve as a table */
void section_network(const struct page *page);     /* what was kept of every layer */
void section_training(const struct page *page);    /* curves */
void section_time(const struct page *page);        /* of every step */
void section_test(const struct page *page);        /* classes, confusions, hardest images */
void section_environment(const struct page *page); /* where and with which keys */

/* What several sections say. */
void run_badge(const struct page *page, int run); /* its letter and name, if there are several */
void run_legend(const struct page *page);
bool run_trained(const struct run_record *run);
double run_seconds(const struct run_record *run); /* of all steps */
struct cost run_initial_cost(const struct run_record *run);
struct cost run_cost(const struct run_record *run); /* of the network found or current */

/* Metric `budget` of the run's search as an axis or in a text: "MACs (millions)", "3.76 M MACs". */
double metric_scale(const char *metric, double typical);
void metric_label(const char *metric, double scale, char *text, size_t size);
void metric_text(const char *metric, double value, char *text, size_t size);

#endif
