/* taper data pack: a part of the data as one file. */
#include "commands/data.h"
#include "data/pack_write.h"
#include "report/format.h"

#include <stdio.h>

static void show(void *context, int done, int total) {
    data_meter_show(context, done, total);
}

static void print_result(const char *path, const struct pack_result *result) {
    char pictures[FORMAT_SIZE], bytes[FORMAT_SIZE];
    printf("%s%s: %s pictures, %s\n", path, result->was_there ? " is complete already" : "",
           format_count(pictures, result->pictures), format_bytes(bytes, (double)result->bytes));
}

static enum status pack(struct data_work *work, const struct options *options) {
    struct bad_pictures *bad;
    struct pack_result result;
    struct data_meter meter;
    TRY(data_work_part(work, options->part));
    TRY(bad_pictures_create(&bad, work->config.data.max_bad_images));
    data_meter_begin(&meter, "packed", 0);
    const struct pack_options how = {.path = options->file,
                                     .short_side = options->short_side,
                                     .pool = work->pool,
                                     .bad = bad,
                                     .progress = show,
                                     .context = &meter};
    enum status status = pack_write(work->source, &how, &result);
    data_meter_end(&meter);
    if (status == STATUS_OK) {
        data_print_sentences(stderr, "left out", bad_pictures_list(bad));
        print_result(options->file, &result);
    }
    bad_pictures_release(bad);
    return status;
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct data_work work;
    TRY(options_parse(&options, OPTIONS_PACK, data_pack.summary, argc, argv));
    if (options.file == NULL)
        return fail(STATUS_USAGE, "no file to write is named: taper data pack CONFIG --out FILE");
    TRY(data_work_open(&work, &options));
    enum status status = pack(&work, &options);
    data_work_close(&work);
    return status;
}

const struct command data_pack = {
    "pack", "One part as one file that opens at once; the same command again goes on", execute};
