#include "metric/table_build.h"
#include "metric/layer_times.h"
#include "metric/table_plan.h"
#include "report/json_lines.h"
#include "support/file.h"
#include "support/interrupt.h"
#include "support/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct building {
    const struct table_building *how;
    struct table_plan plan;
    int layers;              /* of a network, with its picture */
    int done;                /* networks */
    struct table_layer *all; /* [network][layers]: measured ones */
    double *references;      /* [network]: milliseconds that the largest one took meanwhile */
    struct deployed reference;
    struct json_lines part;
};

static enum status no_memory(void) {
    return fail(STATUS_FAILED, "no memory for what was measured");
}

static int all_networks(const struct building *building) {
    return building->plan.count + building->plan.held_out;
}

/* What must be the same for a measurement to go on: the first line. */
static json_t *head_of(const struct building *building) {
    const struct bench *bench = building->how->bench;
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, building->plan.hash);
    return json_pack("{s:s, s:i, s:i, s:i, s:s}", "device", bench->device, "batch_images",
                     bench->latency.batch_images, "threads", bench->latency.threads, "repetitions",
                     bench->latency.repetitions, "networks", hash);
}

/* A line: the milliseconds of the layers of the next network, its picture last. */
static enum status take_up_line(struct building *building, const json_t *line) {
    const json_t *times = json_object_get(line, "milliseconds");
    struct table_layer *layers = building->all + (size_t)building->done * building->layers;
    if (building->done == all_networks(building) ||
        json_array_size(times) != (size_t)building->layers)
        return fail(STATUS_USAGE, "line %d is not of this measurement", building->done + 2);
    table_layers(building->how->network, &building->plan.subs[building->done], layers);
    for (int i = 0; i < building->layers; i++) {
        const json_t *time = json_array_get(times, i);
        double milliseconds = json_number_value(time);
        if (!json_is_number(time) || !(milliseconds >= 0))
            return fail(STATUS_USAGE, "line %d has a time that is no number", building->done + 2);
        layers[i].milliseconds = milliseconds;
    }
    const json_t *reference = json_object_get(line, "reference");
    building->references[building->done] = json_number_value(reference);
    if (!(building->references[building->done] > 0))
        return fail(STATUS_USAGE, "line %d has no time of the reference", building->done + 2);
    building->done++;
    return STATUS_OK;
}

static enum status take_up(struct building *building, const json_t *lines) {
    json_t *head = head_of(building);
    bool same = head != NULL && json_equal(head, json_array_get(lines, 0));
    bool memory = head != NULL;
    json_decref(head);
    if (!memory)
        return no_memory();
    if (!same)
        return fail(STATUS_USAGE, "this was begun on another device or for another configuration; "
                                  "go on there, or remove it to begin anew");
    for (size_t i = 1; i < json_array_size(lines); i++)
        TRY(take_up_line(building, json_array_get(lines, i)));
    return STATUS_OK;
}

static enum status open_part(struct building *building, const char *path) {
    json_t *lines;
    TRY(json_lines_read(path, &lines));
    bool begun = json_array_size(lines) > 0;
    enum status status = begun ? take_up(building, lines) : STATUS_OK;
    json_decref(lines);
    if (status != STATUS_OK)
        return fail_in(status, "%s", path);
    TRY(json_lines_open(&building->part, path));
    return begun ? STATUS_OK : json_lines_append(&building->part, head_of(building));
}

static enum status measure_next(struct building *building) {
    const struct table_building *how = building->how;
    struct layer_times times;
    TRY(layer_times_measure(how->bench, how->network, &building->plan.subs[building->done],
                            &building->reference, &times));
    json_t *numbers = json_array(), *line;
    for (int i = 0; i < building->layers && numbers != NULL; i++)
        json_array_append_new(
            numbers, json_real(1e3 * (i + 1 < building->layers ? times.layers[i] : times.rest)));
    line = json_pack("{s:f, s:o}", "reference", 1e3 * times.reference, "milliseconds", numbers);
    if (line == NULL)
        return no_memory();
    enum status status = take_up_line(building, line);
    if (status != STATUS_OK)
        json_decref(line);
    else
        status = json_lines_append(&building->part, line);
    return status == STATUS_OK ? json_lines_sync(&building->part) : status;
}

static enum status measure_all(struct building *building) {
    const struct table_building *how = building->how;
    if (building->done < all_networks(building))
        TRY(layer_times_reference(how->bench, how->network, &building->reference));
    while (building->done < all_networks(building)) {
        if (interrupt_requested())
            return fail(STATUS_INTERRUPTED,
                        "%d of %d networks are measured; the same command goes on", building->done,
                        all_networks(building));
        TRY(measure_next(building));
        if (how->progress != NULL)
            how->progress(how->context, building->done, all_networks(building));
    }
    return STATUS_OK;
}

/* layers[count] sorted: equal ones become one, with the median of their times. */
static enum status merge(struct table_layer *layers, int count, int *merged) {
    double *times;
    *merged = 0;
    TRY(allocate(&times, (size_t)count, sizeof *times, "times of layers"));
    for (int first = 0, end; first < count; first = end) {
        for (end = first; end < count && table_layer_compare(&layers[first], &layers[end]) == 0;
             end++)
            times[end - first] = layers[end].milliseconds;
        median_sort(times, end - first);
        layers[*merged] = layers[first];
        layers[(*merged)++].milliseconds = median_of(times, end - first).value;
    }
    free(times);
    return STATUS_OK;
}

/* How far interpolation is off for layers of networks that the table does not know. */
static void hold_out(const struct building *building, struct latency_table *table) {
    size_t first = (size_t)building->plan.count * building->layers;
    size_t end = (size_t)all_networks(building) * building->layers;
    double sum = 0, guess;
    for (size_t i = first; i < end; i++) {
        const struct table_layer *layer = &building->all[i];
        if (!(layer->milliseconds > 0) || !latency_table_find(table, layer, true, &guess))
            continue;
        double error = fabs(guess / layer->milliseconds - 1);
        sum += error;
        table->worst_error = fmax(table->worst_error, error);
        table->points++;
    }
    if (table->points > 0)
        table->mean_error = sum / table->points;
}

/* All times as if the machine had been as fast as it mostly was. */
static enum status level(struct building *building) {
    int count = all_networks(building);
    double *sorted;
    TRY(allocate(&sorted, (size_t)count, sizeof *sorted, "times of the reference"));
    memcpy(sorted, building->references, (size_t)count * sizeof *sorted);
    median_sort(sorted, count);
    double usual = median_of(sorted, count).value;
    free(sorted);
    for (int i = 0; i < count; i++)
        for (int layer = 0; layer < building->layers; layer++)
            building->all[(size_t)i * building->layers + layer].milliseconds *=
                usual / building->references[i];
    return STATUS_OK;
}

static enum status make_table(const struct building *building, struct latency_table *table) {
    const struct bench *bench = building->how->bench;
    int count = building->plan.count * building->layers;
    TRY(allocate(&table->layers, (size_t)count, sizeof *table->layers, "a latency table"));
    memcpy(table->layers, building->all, (size_t)count * sizeof *table->layers);
    qsort(table->layers, (size_t)count, sizeof *table->layers, table_layer_compare);
    TRY(merge(table->layers, count, &table->count));
    snprintf(table->device, sizeof table->device, "%s", bench->device);
    table->batch_images = bench->latency.batch_images;
    table->threads = bench->latency.threads;
    hold_out(building, table);
    return latency_table_write(table, building->how->path);
}

static enum status build(struct building *building, struct latency_table *table) {
    const struct table_building *how = building->how;
    char part[1100];
    snprintf(part, sizeof part, "%s.part", how->path);
    TRY(table_plan_create(&building->plan, how->network, how->seed, how->most));
    TRY(allocate(&building->all, (size_t)all_networks(building) * building->layers,
                 sizeof *building->all, "times of layers"));
    TRY(allocate(&building->references, (size_t)all_networks(building),
                 sizeof *building->references, "times of the reference"));
    TRY(open_part(building, part));
    TRY(measure_all(building));
    TRY(level(building));
    TRY(make_table(building, table));
    if (unlink(part) != 0)
        return fail(STATUS_FAILED, "cannot remove %s: %s", part, strerror(errno));
    return STATUS_OK;
}

enum status table_build(const struct table_building *how, struct latency_table *table) {
    struct building building = {
        .how = how, .layers = how->network->layer_count + 1, .part.file = -1};
    *table = (struct latency_table){0};
    if (file_exists(how->path))
        return fail(STATUS_USAGE, "%s is there already; remove it, or give another --out FILE",
                    how->path);
    enum status status = build(&building, table);
    json_lines_close(&building.part);
    table_plan_release(&building.plan);
    deployed_release(&building.reference);
    free(building.references);
    free(building.all);
    if (status != STATUS_OK)
        latency_table_release(table);
    return status;
}
