/* The test images of a report: classes, confusions, the hardest images. */
#include "report/format.h"
#include "report/html.h"
#include "report/sections.h"

#include <math.h>
#include <string.h>

enum { MOST_LISTED = 100, MOST_PAIRS = 50 }; /* classes and confusions that a page can show */

/* "3 Dress"; only "3" where classes have numbers alone. */
static void write_class(FILE *file, const struct evaluation_record *evaluation, int class) {
    char number[16];
    const char *name = evaluation->classes[class].name;
    snprintf(number, sizeof number, "%d", class);
    if (strcmp(name, number) != 0)
        fprintf(file, "<small>%d</small> ", class);
    html_text(file, name);
}

static int listed_classes(const struct evaluation_record *evaluation) {
    return evaluation->class_count <= MOST_LISTED ? evaluation->class_count : MOST_LISTED;
}

/* The n-th class of a list: all of them in their order, or the weakest. */
static int listed_class(const struct evaluation_record *evaluation, int n) {
    return evaluation->class_count <= MOST_LISTED ? n : evaluation->weakest[n];
}

static void write_left_out(FILE *file, const struct evaluation_record *evaluation) {
    char count[FORMAT_SIZE];
    if (evaluation->class_count > MOST_LISTED)
        fprintf(file, "<p class=\"none\"><small>The %d weakest of %s classes.</small></p>\n",
                MOST_LISTED, format_count(count, evaluation->class_count));
}

static void write_classes(FILE *file, const struct evaluation_record *evaluation) {
    char images[FORMAT_SIZE];
    fputs("<div><h3>Classes</h3><div class=\"wide\"><table class=\"layers\"><thead><tr><th>class"
          "</th><th>images</th><th>right</th></tr></thead><tbody>\n",
          file);
    for (int n = 0; n < listed_classes(evaluation); n++) {
        const struct class_record *class = &evaluation->classes[listed_class(evaluation, n)];
        double share = class->images > 0 ? 100.0 * class->correct / class->images : 0;
        fputs("<tr><th scope=\"row\">", file);
        write_class(file, evaluation, listed_class(evaluation, n));
        fprintf(file,
                "</th><td>%s</td><td><div class=\"kept\"><span class=\"bar\"><i "
                "style=\"width:%.1f%%\"></i></span><span>%.1f %%</span></div></td></tr>\n",
                format_count(images, class->images), share, share);
    }
    fputs("</tbody></table></div>", file);
    write_left_out(file, evaluation);
    fputs("</div>\n", file);
}

static void write_cell(FILE *file, const struct evaluation_record *evaluation, int label,
                       int answer) {
    int count = evaluation->confusion[label * evaluation->class_count + answer];
    int images = evaluation->classes[label].images;
    double share = images > 0 ? (double)count / images : 0;
    /* Confusions are rare: the root of the share makes them visible. */
    double heat = label == answer ? 0.5 * share : sqrt(share);
    fprintf(file, "<td class=\"%s%s\" style=\"--heat:%.3f\" title=\"",
            label == answer ? "right" : "wrong",
            count == 0    ? " zero"
            : heat > 0.55 ? " hot"
                          : "",
            heat);
    html_format(file, "%s taken for %s: %d of %d (%.1f %%)", evaluation->classes[label].name,
                evaluation->classes[answer].name, count, images, 100 * share);
    fprintf(file, "\">%d</td>", count);
}

static void write_matrix(FILE *file, const struct evaluation_record *evaluation) {
    fputs("<div><h3>Confusion matrix</h3><div class=\"wide\"><table class=\"matrix\"><thead><tr>"
          "<th></th>",
          file);
    for (int i = 0; i < evaluation->class_count; i++) {
        fputs("<th title=\"", file);
        html_text(file, evaluation->classes[i].name);
        fprintf(file, "\">%d</th>", i);
    }
    fputs("</tr></thead><tbody>\n", file);
    for (int label = 0; label < evaluation->class_count; label++) {
        fputs("<tr><th scope=\"row\">", file);
        write_class(file, evaluation, label);
        fputs("</th>", file);
        for (int answer = 0; answer < evaluation->class_count; answer++)
            write_cell(file, evaluation, label, answer);
        fputs("</tr>\n", file);
    }
    fputs("</tbody></table></div><p class=\"none\"><small>A row per label, a column per answer."
          "</small></p></div>\n",
          file);
}

/* In place of a matrix. */
static void write_confused(FILE *file, const struct evaluation_record *evaluation) {
    char images[FORMAT_SIZE];
    if (evaluation->confused_count == 0)
        return;
    fputs("<div><h3>Most confused classes</h3><div class=\"wide\"><table class=\"layers\"><thead>"
          "<tr><th>class</th><th>taken for</th><th>images</th></tr></thead><tbody>\n",
          file);
    for (int i = 0; i < evaluation->confused_count && i < MOST_PAIRS; i++) {
        const struct confused_record *confused = &evaluation->confused[i];
        fputs("<tr><th scope=\"row\">", file);
        write_class(file, evaluation, confused->label);
        fputs("</th><td>", file);
        write_class(file, evaluation, confused->predicted);
        fprintf(file, "</td><td>%s of ", format_count(images, confused->images));
        fprintf(file, "%s</td></tr>\n",
                format_count(images, evaluation->classes[confused->label].images));
    }
    fputs("</tbody></table></div></div>\n", file);
}

static void write_hardest(FILE *file, const struct evaluation_record *evaluation) {
    if (evaluation->hardest_count == 0)
        return;
    fputs("<h3>Hardest images</h3><p>Whose right class got the least probability.</p>"
          "<div class=\"pictures\">\n",
          file);
    for (int i = 0; i < evaluation->hardest_count; i++) {
        const struct hard_record *hard = &evaluation->hardest[i];
        fputs("<figure class=\"picture\"><img src=\"", file);
        html_text(file, hard->picture);
        fprintf(file, "\" alt=\"test image %d\"><figcaption><b>", hard->index);
        html_text(file, evaluation->classes[hard->label].name);
        fprintf(file, "</b> <small>%.2g %%</small><br>taken for ", 100 * hard->label_probability);
        html_text(file, evaluation->classes[hard->predicted].name);
        fprintf(file, " <small>%.0f %%</small></figcaption></figure>\n", 100 * hard->probability);
    }
    fputs("</div>\n", file);
}

static void write_one(FILE *file, const struct evaluation_record *evaluation) {
    char images[FORMAT_SIZE];
    if (evaluation->class_count == 0) {
        fputs("<p class=\"none\"><code>taper evaluate</code> adds classes, confusions and the "
              "hardest images.</p>\n",
              file);
        return;
    }
    fputs("<p>", file);
    html_format(file, "%.2f %% of %s images right, %.2f %% among the first five; loss %.4f.",
                100 * evaluation->top1, format_count(images, evaluation->images),
                100 * evaluation->top5, evaluation->loss);
    fputs("</p><div class=\"figures\">\n", file);
    if (evaluation->class_count <= MOST_MATRIX)
        write_matrix(file, evaluation);
    else
        write_confused(file, evaluation);
    write_classes(file, evaluation);
    fputs("</div>\n", file);
    write_hardest(file, evaluation);
}

static void write_several(const struct page *page) {
    const struct evaluation_record *first = &page->runs->evaluation;
    fputs("<div class=\"wide\"><table class=\"layers\"><thead><tr><th>class</th>", page->file);
    for (int r = 0; r < page->count; r++) {
        fputs("<th>", page->file);
        run_badge(page, r);
        fputs("</th>", page->file);
    }
    fputs("</tr></thead><tbody>\n", page->file);
    for (int n = 0; n < listed_classes(first); n++) {
        int i = listed_class(first, n);
        fputs("<tr><th scope=\"row\">", page->file);
        html_text(page->file, first->classes[i].name);
        fputs("</th>", page->file);
        for (int r = 0; r < page->count; r++) {
            const struct evaluation_record *other = &page->runs[r].evaluation;
            bool known = other->class_count == first->class_count && other->classes[i].images > 0;
            fprintf(page->file, known ? "<td>%.1f %%</td>" : "<td>–</td>",
                    known ? 100.0 * other->classes[i].correct / other->classes[i].images : 0);
        }
        fputs("</tr>\n", page->file);
    }
    fputs("</tbody></table></div>\n", page->file);
    write_left_out(page->file, first);
}

void section_test(const struct page *page) {
    if (page->count > 1 && page->runs->evaluation.class_count == 0)
        return;
    fputs("<section><h2>Test images</h2>\n", page->file);
    if (page->count > 1)
        write_several(page);
    else
        write_one(page->file, &page->runs->evaluation);
    fputs("</section>\n", page->file);
}
