/* taper latency build: a table of the times of all layers of a space. */
#include "commands/latency.h"
#include "metric/table_build.h"
#include "support/interrupt.h"

#include <stdio.h>

static const char default_file[] = "latency-table.json";
enum { SHOWN = 20 /* lines of progress */ };

static void show(void *context, int done, int total) {
    (void)context;
    if (done == total || done * SHOWN / total != (done - 1) * SHOWN / total)
        fprintf(stderr, "latency build: %d of %d networks\n", done, total);
}

static enum status build(const struct config *config, const struct options *options) {
    struct bench bench;
    struct latency_table table;
    TRY(latency_bench(&bench, config));
    const struct table_building how = {.bench = &bench,
                                       .network = &config->network,
                                       .seed = config->seed,
                                       .most = options->networks,
                                       .path = options->file ? options->file : default_file,
                                       .progress = show};
    interrupt_catch();
    TRY(table_build(&how, &table));
    printf("%s: %d layers of %s, %d picture%s, %d thread%s", how.path, table.count, table.device,
           table.batch_images, table.batch_images == 1 ? "" : "s", table.threads,
           table.threads == 1 ? "" : "s");
    if (table.points > 0)
        printf("; %d layers of networks held out, interpolated: mean error %.1f %%, worst %.1f %%",
               table.points, 100 * table.mean_error, 100 * table.worst_error);
    putchar('\n');
    latency_table_release(&table);
    return STATUS_OK;
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct config config;
    TRY(options_parse(&options, OPTIONS_TABLE_BUILD, latency_build.summary, argc, argv));
    TRY(options_read_config(&options, &config));
    enum status status = build(&config, &options);
    config_release(&config);
    return status;
}

const struct command latency_build = {
    "build", "A table of the times of all layer shapes of a space; goes on where it was stopped",
    execute};
