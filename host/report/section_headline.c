/* The result of a report in a sentence and four numbers; of several runs, a table. */
#include "report/format.h"
#include "report/html.h"
#include "report/sections.h"

static double percent_done(const struct curve *curve) {
    return curve->count > 0 ? 100 * curve->points[curve->count - 1].at / curve->steps : 0;
}

static void write_search(FILE *file, const struct run_record *run,
                         const struct sample_record *now) {
    char metric[RECORD_TEXT];
    metric_text(run->config.search.budgets[0].metric.name, now->metrics[0], metric, sizeof metric);
    html_format(file,
                "The search is under way: %d samples, now at %s with %.2f %% of the hold-out "
                "images right.",
                run->sample_count, metric, 100 * now->score);
}

/* What is known before the network found is trained. */
static void write_state(FILE *file, const struct run_record *run) {
    const struct sample_record *best = record_best(run);
    if (run->search_done && run->trained_otherwise) {
        fputs("The search is done; found.safetensors was trained with other keys or a network "
              "found before.",
              file);
    } else if (run->search_done && run->training) {
        fprintf(file, "The search is done; the network found is trained to %.0f&nbsp;%%.",
                percent_done(&run->train));
    } else if (run->search_done) {
        fputs("The search is done; the network found is not trained yet.", file);
    } else if (best) {
        write_search(file, run, best);
    } else if (run->supernet_done) {
        fputs("The super-network is trained; nothing is searched yet.", file);
    } else {
        fprintf(file, "The super-network is trained to %.0f&nbsp;%%.",
                percent_done(&run->supernet));
    }
}

static void write_result(FILE *file, const struct run_record *run) {
    char macs[FORMAT_SIZE], all[FORMAT_SIZE], parameters[FORMAT_SIZE], time[FORMAT_SIZE];
    double initial = run_initial_cost(run).macs;
    struct cost cost = run_cost(run);
    html_format(file,
                "%.2f %% of the test images right with %s MACs (%.1f %% of the initial network's "
                "%s) and %s parameters, in %s.",
                100 * run->test_accuracy, format_millions(macs, cost.macs, 2),
                100 * cost.macs / initial, format_millions(all, initial, 2),
                format_count(parameters, cost.parameters), format_duration(time, run_seconds(run)));
}

static void tile(FILE *file, const char *what, const char *value, const char *note) {
    fputs("<div class=\"tile\"><span>", file);
    html_text(file, what);
    fputs("</span><strong>", file);
    html_text(file, value);
    fputs("</strong><span>", file);
    html_text(file, note);
    fputs("</span></div>\n", file);
}

static void accuracy_tile(FILE *file, const struct run_record *run) {
    char value[FORMAT_SIZE], note[96];
    const struct sample_record *best = record_best(run);
    double score = run_trained(run) ? run->test_accuracy : best ? best->score : 0;
    snprintf(value, sizeof value, "%.2f %%", 100 * score);
    snprintf(note, sizeof note, "hold-out, in the search: %.2f %%", best ? 100 * best->score : 0);
    if (run_trained(run))
        tile(file, "Test accuracy", value, best ? note : "of all test images");
    else
        tile(file, "Hold-out accuracy", value, "with the super-network's weights");
}

static void write_tiles(FILE *file, const struct run_record *run) {
    char value[FORMAT_SIZE], number[FORMAT_SIZE], note[96];
    struct cost cost = run_cost(run), initial = run_initial_cost(run);
    fputs("<div class=\"tiles\">\n", file);
    accuracy_tile(file, run);
    snprintf(note, sizeof note, "%.1f %% of %s", 100 * cost.macs / initial.macs,
             format_millions(number, initial.macs, 2));
    tile(file, "MACs", format_millions(value, cost.macs, 2), note);
    snprintf(note, sizeof note, "%.1f %% of %s", 100 * cost.parameters / initial.parameters,
             format_count(number, initial.parameters));
    tile(file, "Parameters", format_count(value, cost.parameters), note);
    tile(file, "Time", format_duration(value, run_seconds(run)), "super-network, search, training");
    fputs("</div>\n", file);
}

static void write_row(const struct page *page, int i) {
    char number[FORMAT_SIZE];
    const struct run_record *run = &page->runs[i];
    const struct sample_record *best = record_best(run);
    FILE *file = page->file;
    fputs("<tr><th scope=\"row\">", file);
    run_badge(page, i);
    fputs("</th>", file);
    fprintf(file, run_trained(run) ? "<td>%.2f %%</td>" : "<td>–</td>", 100 * run->test_accuracy);
    fprintf(file, best ? "<td>%.2f %%</td>" : "<td>–</td>", best ? 100 * best->score : 0);
    if (run->has_network) {
        struct cost cost = run_cost(run);
        fprintf(file, "<td>%s</td><td>%.1f %%</td>", format_millions(number, cost.macs, 2),
                100 * cost.macs / run_initial_cost(run).macs);
        fprintf(file, "<td>%s</td>", format_count(number, cost.parameters));
    } else {
        fputs("<td>–</td><td>–</td><td>–</td>", file);
    }
    fprintf(file, "<td>%d</td><td>%s</td></tr>\n", run->sample_count,
            format_duration(number, run_seconds(run)));
}

static void write_table(const struct page *page) {
    fputs("<div class=\"wide\"><table><thead><tr><th>run</th><th>test accuracy</th><th>hold-out "
          "accuracy</th><th>MACs</th><th>of the initial</th><th>parameters</th><th>samples</th>"
          "<th>time</th></tr></thead><tbody>\n",
          page->file);
    for (int i = 0; i < page->count; i++)
        write_row(page, i);
    fputs("</tbody></table></div>\n", page->file);
}

void section_headline(const struct page *page) {
    FILE *file = page->file;
    const struct run_record *run = page->runs;
    fputs("<header><p class=\"kind\">taper · ", file);
    if (page->count > 1) {
        fprintf(file, "comparison</p><h1>%d runs side by side</h1>\n", page->count);
        write_table(page);
    } else {
        html_text(file, run->name);
        fputs("</p><h1>", file);
        if (run_trained(run) && run->has_network)
            write_result(file, run);
        else
            write_state(file, run);
        fputs("</h1>\n", file);
        if (run->has_network)
            write_tiles(file, run);
    }
    fputs("</header>\n", file);
}
