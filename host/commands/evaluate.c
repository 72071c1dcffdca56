/* taper evaluate: the trained network on the test images, as tables. */
#include "commands/commands.h"
#include "commands/steps.h"
#include "training/evaluate_found.h"

#include <stdio.h>

/* The wrong class that takes most images of a label; the label itself when none does. */
static int most_mistaken(const struct tables *tables, int label) {
    const int *row = tables->confusion + label * tables->classes;
    int most = label;
    for (int c = 0; c < tables->classes; c++)
        if (c != label && row[c] > (most == label ? 0 : row[most]))
            most = c;
    return most;
}

static void print_classes(const struct tables *tables, const struct data_config *data) {
    char name[MAX_CLASS_NAME], other[MAX_CLASS_NAME];
    printf("\n%-20s %7s %7s   most often taken for\n", "class", "images", "right");
    for (int label = 0; label < tables->classes; label++) {
        const int *row = tables->confusion + label * tables->classes;
        int images = tables_of_label(tables, label), mistaken = most_mistaken(tables, label);
        printf("%-20s %7d", class_name(data, label, name), images);
        if (images > 0)
            printf(" %5.1f %%", 100.0 * row[label] / images);
        if (mistaken != label)
            printf("   %s (%d)", class_name(data, mistaken, other), row[mistaken]);
        putchar('\n');
    }
}

/* As wide as a terminal may be; larger ones are in evaluation.json only. */
enum { MOST_PRINTED = 16 };

static void print_confusion(const struct tables *tables) {
    if (tables->classes > MOST_PRINTED)
        return;
    printf("\nconfusion matrix (row: label, column: answer)\n    ");
    for (int c = 0; c < tables->classes; c++)
        printf(" %6d", c);
    for (int label = 0; label < tables->classes; label++) {
        printf("\n%4d", label);
        for (int c = 0; c < tables->classes; c++)
            printf(" %6d", tables->confusion[label * tables->classes + c]);
    }
    putchar('\n');
}

static enum status say(struct run *run, const char *name, const struct tables *tables) {
    double top1 = (double)tables->top1 / tables->images,
           top5 = (double)tables->top5 / tables->images;
    TRY(log_event(run->log, "{s:s, s:s, s:f, s:f, s:f}", "event", "evaluation", "network", name,
                  "test_accuracy", top1, "top5", top5, "loss", tables->loss));
    TRY(log_say(run->log,
                "%.2f %% of the test images right (%d of %d), %.2f %% among the first five, loss "
                "%.4f",
                100 * top1, tables->top1, tables->images, 100 * top5, tables->loss));
    print_classes(tables, &run->config.data);
    print_confusion(tables);
    return STATUS_OK;
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct run run;
    struct tables tables;
    char name[32];
    TRY(options_parse(&options, OPTIONS_EVALUATE, command_evaluate.summary, argc, argv));
    TRY(steps_open(&run, &options));
    steps_name(&options, name);
    enum status status = evaluate_found(&run, name, options.predictions, &tables);
    if (status == STATUS_OK)
        status = say(&run, name, &tables);
    if (status == STATUS_OK)
        status = steps_report(&run);
    tables_release(&tables);
    run_close(&run);
    return status;
}

const struct command command_evaluate = {
    "evaluate", "Top-1, top-5, classes and confusions of the trained network on the test images",
    execute};
