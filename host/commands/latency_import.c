/* taper latency import: a table that another program wrote as columns of text. */
#include "commands/latency.h"
#include "metric/latency_table.h"

#include <stdio.h>

static enum status execute(int argc, char **argv) {
    struct options options;
    struct latency_table table;
    TRY(options_parse(&options, OPTIONS_TABLE_IMPORT, latency_import.summary, argc, argv));
    if (options.file == NULL)
        return fail(STATUS_USAGE, "where to? --out FILE");
    TRY(latency_table_read_csv(&table, options.config));
    enum status status = latency_table_write(&table, options.file);
    if (status == STATUS_OK)
        printf("%s: %d layers of %s\n", options.file, table.count, table.device);
    latency_table_release(&table);
    return status;
}

const struct command latency_import = {
    "import",
    "A latency table of columns (CSV): \"# device: NAME\", \"# batch_images: N\", \"# threads: "
    "N\", then a line of the names layer,in,expand,filters,kernel,stride,height,width,activation,"
    "squeeze_excite,residual,bypass,milliseconds, then a line a layer; yes is 1 and no is 0",
    execute};
