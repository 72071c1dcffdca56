/* Where a run ran, the pictures that it left out, and the keys that repeat it. */
#include "report/format.h"
#include "report/html.h"
#include "report/sections.h"

static void write_pair(FILE *file, const char *what, const char *value) {
    if (value[0] == '\0')
        return;
    fprintf(file, "<dt>%s</dt><dd>", what);
    html_text(file, value);
    fputs("</dd>\n", file);
}

enum { MOST_NAMED = 100 };

static void write_bad_pictures(FILE *file, const struct bad_pictures *bad) {
    char count[FORMAT_SIZE];
    const char *sentence = NULL;
    if (bad == NULL)
        return;
    const struct sentences *list = bad_pictures_list(bad);
    fprintf(file, "<details><summary>Pictures that are bad: %s</summary><ul>\n",
            format_count(count, list->count));
    for (int i = 0; i < MOST_NAMED && (sentence = sentences_next(list, sentence)) != NULL; i++) {
        fputs("<li>", file);
        html_text(file, sentence);
        fputs("</li>\n", file);
    }
    if (list->count > MOST_NAMED)
        fputs("<li>... and what log.jsonl names beyond these</li>\n", file);
    fputs("</ul></details>\n", file);
}

static void write_run(const struct page *page, int r) {
    const struct run_record *run = &page->runs[r];
    char threads[32] = "";
    FILE *file = page->file;
    if (run->threads > 0)
        snprintf(threads, sizeof threads, "%d", run->threads);
    if (page->count > 1) {
        fputs("<h3>", file);
        run_badge(page, r);
        fputs("</h3>", file);
    }
    fputs("<dl>\n", file);
    write_pair(file, "taper", run->version);
    write_pair(file, "build", run->build);
    write_pair(file, "device", run->device);
    write_pair(file, "processor", run->processor);
    write_pair(file, "threads", threads);
    write_pair(file, "pictures", run->config.data.folder);
    write_pair(file, "folder", run->folder);
    fputs("</dl>\n", file);
    write_bad_pictures(file, run->bad);
    fputs("<details><summary>All keys (config.yaml)</summary><pre>", file);
    html_text(file, run->config_text);
    fputs("</pre></details>\n", file);
}

void section_environment(const struct page *page) {
    fputs("<section><h2>Environment</h2>\n", page->file);
    for (int r = 0; r < page->count; r++)
        write_run(page, r);
    fputs("</section>\n", page->file);
}
