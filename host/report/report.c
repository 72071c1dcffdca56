#include "report/report.h"
#include "report/html.h"
#include "report/record_read.h"
#include "report/sections.h"
#include "report/style.h"
#include "support/file.h"
#include "support/memory.h"

#include <stdlib.h>

static void write_head(const struct page *page) {
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'; img-src data:\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
          page->file);
    if (page->count > 1)
        fprintf(page->file, "%d runs", page->count);
    else
        html_text(page->file, page->runs->name);
    fprintf(page->file, " – taper</title>\n<style>\n%s</style></head>\n<body><main>\n",
            report_style);
}

static void write_page(const void *context, FILE *file) {
    static void (*const sections[])(const struct page *page) = {
        section_headline, section_search, section_network,    section_training,
        section_test,     section_time,   section_environment};
    struct page page = *(const struct page *)context;
    page.file = file;
    write_head(&page);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        sections[i](&page);
    fputs("<footer>Written by taper " TAPER_VERSION ".</footer>\n</main></body></html>\n", file);
}

enum status report_write(const char *const *folders, int count, const char *path) {
    struct run_record *runs;
    enum status status = STATUS_OK;
    int opened = 0;
    if (count > MOST_RUNS)
        return fail(STATUS_USAGE, "a report compares at most %d runs, not %d", MOST_RUNS, count);
    TRY(allocate(&runs, (size_t)count, sizeof *runs, "the runs of a report"));
    while (opened < count && status == STATUS_OK) {
        status = record_read(&runs[opened], folders[opened]);
        opened++;
    }
    const struct page page = {.runs = runs, .count = count};
    if (status == STATUS_OK)
        status = file_replace_text(path, write_page, &page);
    for (int i = 0; i < opened; i++)
        record_release(&runs[i]);
    free(runs);
    return status;
}
