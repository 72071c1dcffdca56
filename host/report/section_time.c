/* How long every step took. */
#include "report/format.h"
#include "report/html.h"
#include "report/sections.h"

static const char *const step_words[RECORD_STEPS] = {"super-network", "search", "training"};

static void write_bar(FILE *file, const struct run_record *run) {
    double all = run_seconds(run);
    if (all <= 0)
        return;
    fputs("<div class=\"steps\" aria-hidden=\"true\">", file);
    for (int i = 0; i < RECORD_STEPS; i++)
        fprintf(file, "<i class=\"step%d\" style=\"width:%.2f%%\"></i>", i,
                100 * run->seconds[i] / all);
    fputs("</div>\n", file);
}

static double mean_speed(const struct curve *curve) {
    double sum = 0;
    for (int i = 0; i < curve->count; i++)
        sum += curve->points[i].speed / curve->count;
    return sum;
}

static void write_speed(FILE *file, const struct run_record *run, int step) {
    char number[FORMAT_SIZE];
    if (step == RECORD_SEARCH)
        html_format(file, "%d samples", run->sample_count);
    else
        html_format(file, "%s images/s",
                    format_count(number, mean_speed(step == RECORD_SUPERNET ? &run->supernet
                                                                            : &run->train)));
}

static void write_one(FILE *file, const struct run_record *run) {
    char number[FORMAT_SIZE];
    double all = run_seconds(run);
    write_bar(file, run);
    fputs("<div class=\"wide\"><table><thead><tr><th>step</th><th>time</th><th>share</th>"
          "<th>speed</th></tr></thead><tbody>\n",
          file);
    for (int i = 0; i < RECORD_STEPS; i++) {
        fprintf(file, "<tr><th scope=\"row\"><i class=\"key step%d\"></i>%s</th><td>%s</td>", i,
                step_words[i], format_duration(number, run->seconds[i]));
        fprintf(file, "<td>%.0f %%</td><td>", all > 0 ? 100 * run->seconds[i] / all : 0);
        write_speed(file, run, i);
        fputs("</td></tr>\n", file);
    }
    fprintf(file, "<tr><th scope=\"row\">all</th><td>%s</td><td></td><td></td></tr>\n",
            format_duration(number, all));
    fputs("</tbody></table></div>\n", file);
}

static void write_several(const struct page *page) {
    char number[FORMAT_SIZE];
    fputs("<div class=\"wide\"><table><thead><tr><th>run</th>", page->file);
    for (int i = 0; i < RECORD_STEPS; i++)
        fprintf(page->file, "<th>%s</th>", step_words[i]);
    fputs("<th>all</th></tr></thead><tbody>\n", page->file);
    for (int r = 0; r < page->count; r++) {
        const struct run_record *run = &page->runs[r];
        fputs("<tr><th scope=\"row\">", page->file);
        run_badge(page, r);
        fputs("</th>", page->file);
        for (int i = 0; i < RECORD_STEPS; i++)
            fprintf(page->file, "<td>%s</td>", format_duration(number, run->seconds[i]));
        fprintf(page->file, "<td>%s</td></tr>\n", format_duration(number, run_seconds(run)));
    }
    fputs("</tbody></table></div>\n", page->file);
}

void section_time(const struct page *page) {
    fputs("<section><h2>Time</h2>\n", page->file);
    if (page->count == 1)
        write_one(page->file, page->runs);
    else
        write_several(page);
    fputs("</section>\n", page->file);
}
