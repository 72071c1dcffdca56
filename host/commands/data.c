/* taper data: what there is to train with, whether all of it can be read, and packing it. */
#include "commands/data.h"
#include "support/interrupt.h"
#include "support/memory.h"
#include "training/run.h"

#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {&data_info, &data_verify, &data_pack};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

enum status data_work_open(struct data_work *work, const struct options *options) {
    *work = (struct data_work){0};
    interrupt_catch();
    TRY(options_read_config(options, &work->config));
    enum status status = pool_create(&work->pool, run_threads(&work->config));
    if (status != STATUS_OK)
        config_release(&work->config);
    return status;
}

void data_work_close(struct data_work *work) {
    picture_source_close(work->source);
    pool_release(work->pool);
    config_release(&work->config);
}

const char *data_part_name(enum data_part part) {
    return part == DATA_TRAIN ? "train" : "test";
}

enum status data_work_part(struct data_work *work, enum data_part part) {
    picture_source_close(work->source);
    work->source = NULL;
    work->part = part;
    TRY(picture_source_open(&work->source, &work->config.data, part, work->pool));
    data_print_sentences(stderr, "note", picture_source_notes(work->source));
    return STATUS_OK;
}

enum status data_for_parts(const struct options *options, struct data_work *work,
                           enum status (*run)(struct data_work *work)) {
    for (int part = DATA_TRAIN; part <= DATA_TEST; part++) {
        if (options->one_part && (int)options->part != part)
            continue;
        TRY(data_work_part(work, (enum data_part)part));
        TRY(run(work));
    }
    return STATUS_OK;
}

struct class_names data_class_names(const struct data_work *work) {
    return (struct class_names){&work->config.data, picture_source_class_list(work->source)};
}

enum status data_count_classes(const struct data_work *work, int **counts) {
    TRY(allocate(counts, (size_t)picture_source_classes(work->source), sizeof **counts,
                 "the classes"));
    for (int i = 0; i < picture_source_count(work->source); i++)
        (*counts)[picture_source_label(work->source, i)]++;
    return STATUS_OK;
}

void data_print_sentences(FILE *file, const char *word, const struct sentences *sentences) {
    for (const char *at = NULL; (at = sentences_next(sentences, at)) != NULL;)
        fprintf(file, "%s: %s\n", word, at);
    if (sentences->count > sentences->kept)
        fprintf(file, "%s: and %d more\n", word, sentences->count - sentences->kept);
}

static void print_help(FILE *file) {
    fputs("Usage: taper data COMMAND [OPTION...] CONFIG|FOLDER\n"
          "The pictures of a configuration whose data.source is folder, shards or pack.\n\n",
          file);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nOptions of a command: taper data COMMAND --help\n", file);
}

static enum status execute(int argc, char **argv) {
    static char name[64];
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help(stdout);
        return STATUS_OK;
    }
    for (int i = 0; i < COMMANDS && argc >= 2; i++) {
        if (strcmp(argv[1], commands[i]->name) != 0)
            continue;
        snprintf(name, sizeof name, "taper data %s", commands[i]->name);
        argv[1] = name;
        return commands[i]->run(argc - 1, argv + 1);
    }
    return fail(STATUS_USAGE,
                "taper data has the commands info, verify and pack: taper data --help");
}

const struct command command_data = {
    "data", "Pictures of a folder, of tar shards, of a pack: info, verify, pack", execute};
