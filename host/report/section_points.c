/* The trade-off curve of one run as a table. */
#include "report/html.h"
#include "report/sections.h"

#include <math.h>

static void write_head(FILE *file, const struct search_config *search) {
    fputs("<tr><th>point</th><th>iteration</th><th>sample</th>", file);
    for (int i = 0; i < search->budget_count; i++) {
        fputs("<th>", file);
        html_text(file, search->budgets[i].metric.name);
        fputs("</th><th>of the initial</th>", file);
    }
    fputs("<th>hold-out images right</th></tr>\n", file);
}

static void write_row(FILE *file, const struct run_record *run, int point,
                      const struct sample_record *sample) {
    const struct search_config *search = &run->config.search;
    fprintf(file, "<tr><td>%d</td><td>%d</td><td>%d</td>", point, sample->iteration,
            sample->number);
    for (int i = 0; i < search->budget_count; i++) {
        char text[RECORD_TEXT];
        metric_text(search->budgets[i].metric.name, sample->metrics[i], text, sizeof text);
        fputs("<td>", file);
        html_text(file, text);
        if (isnan(run->initial[i]))
            fputs("</td><td>–</td>", file);
        else
            fprintf(file, "</td><td>%.1f %%</td>", 100 * sample->metrics[i] / run->initial[i]);
    }
    fprintf(file, "<td>%.2f %%</td></tr>\n", 100 * sample->score);
}

void section_points(const struct page *page) {
    const struct run_record *run = page->runs;
    FILE *file = page->file;
    int point = 0;
    if (page->count > 1 || run->sample_count == 0)
        return;
    fputs("<details><summary>Points of the trade-off curve: <code>taper train --point N</code> "
          "trains another one</summary><div class=\"wide\"><table><thead>\n",
          file);
    write_head(file, &run->config.search);
    fputs("</thead><tbody>\n", file);
    for (int i = 0; i < run->sample_count; i++)
        if (run->samples[i].chosen)
            write_row(file, run, point++, &run->samples[i]);
    fputs("</tbody></table></div></details>\n", file);
}
