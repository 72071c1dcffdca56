/* taper evaluate: the trained network on the test images, as tables. */
#include "commands/commands.h"
#include "commands/steps.h"
#include "support/memory.h"
#include "training/evaluate_found.h"

#include <stdio.h>
#include <stdlib.h>

/* wrong[label]: the confusion that takes most of its images; NULL: none. */
static void most_mistaken(const struct tables *tables, const struct confusion **wrong) {
    for (int i = tables->confusion_count - 1; i >= 0; i--) /* the first, with the most, stays */
        wrong[tables->confusions[i].label] = &tables->confusions[i];
}

static enum status print_classes(const struct tables *tables, const struct class_names *names) {
    char name[MAX_CLASS_NAME], other[MAX_CLASS_NAME];
    const struct confusion **wrong;
    TRY(allocate(&wrong, (size_t)tables->classes, sizeof(void *), "the classes"));
    most_mistaken(tables, wrong);
    printf("\n%-20s %7s %7s   most often taken for\n", "class", "images", "right");
    for (int label = 0; label < tables->classes; label++) {
        const struct class_count *count = &tables->of_class[label];
        printf("%-20s %7d", class_name(names, label, name), count->images);
        if (count->images > 0)
            printf(" %5.1f %%", 100.0 * count->correct / count->images);
        if (wrong[label] != NULL)
            printf("   %s (%d)", class_name(names, wrong[label]->predicted, other),
                   wrong[label]->images);
        putchar('\n');
    }
    free(wrong);
    return STATUS_OK;
}

/* As many columns as a terminal may have; of more classes, so many confusions. */
enum { MOST_PRINTED = 16 };

static void print_matrix(const struct tables *tables) {
    int cells[MOST_PRINTED * MOST_PRINTED];
    tables_matrix(tables, cells);
    printf("\nconfusion matrix (row: label, column: answer)\n    ");
    for (int c = 0; c < tables->classes; c++)
        printf(" %6d", c);
    for (int label = 0; label < tables->classes; label++) {
        printf("\n%4d", label);
        for (int c = 0; c < tables->classes; c++)
            printf(" %6d", cells[label * tables->classes + c]);
    }
    putchar('\n');
}

static void print_confused(const struct tables *tables, const struct class_names *names) {
    char name[MAX_CLASS_NAME];
    printf("\n%-20s %7s   most often taken for\n", "confused", "images");
    for (int i = 0; i < tables->confusion_count && i < MOST_PRINTED; i++) {
        const struct confusion *confusion = &tables->confusions[i];
        printf("%-20s %7d", class_name(names, confusion->label, name), confusion->images);
        printf("   %s\n", class_name(names, confusion->predicted, name));
    }
}

static enum status say(struct run *run, const char *name, const struct tables *tables) {
    double top1 = (double)tables->top1 / tables->images,
           top5 = (double)tables->top5 / tables->images;
    const struct class_names names = run_class_names(run);
    TRY(log_event(run->log, "{s:s, s:s, s:f, s:f, s:f}", "event", "evaluation", "network", name,
                  "test_accuracy", top1, "top5", top5, "loss", tables->loss));
    TRY(log_say(run->log,
                "%.2f %% of the test images right (%d of %d), %.2f %% among the first five, loss "
                "%.4f",
                100 * top1, tables->top1, tables->images, 100 * top5, tables->loss));
    TRY(print_classes(tables, &names));
    if (tables->classes <= MOST_PRINTED)
        print_matrix(tables);
    else
        print_confused(tables, &names);
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
