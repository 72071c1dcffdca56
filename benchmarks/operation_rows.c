#include "operation_rows.h"

#include "supernet/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double median_of(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static const char *const call_names[] = {[CALL_PREPARE] = "prepare",
                                         [CALL_FORWARD] = "forward",
                                         [CALL_NORM_FORWARD] = "norm forward",
                                         [CALL_NORM_BACKWARD] = "norm backward",
                                         [CALL_BACKWARD] = "backward"};

static double norm_bytes(const struct pass *pass, const struct convolution *convolution) {
    double partials = 0;
    for (int i = 0; i < pass->segment_count; i++)
        partials += 2.0 * convolution->norm->parts *
                    kept_channels(pass, &convolution->output, pass->segments[i].group);
    return partials * sizeof(float);
}

void operation_row_count(const struct pass *pass, const struct step *step,
                         struct operation_row *row) {
    bool backward = row->call == CALL_BACKWARD;
    double elements = 0, weights = 0;
    for (int i = 0; i < pass->segment_count; i++) {
        const struct segment *segment = &pass->segments[i];
        struct work work = step_work(pass, step, segment->group, backward);
        row->macs += work.macs * segment->images;
        elements += work.elements * segment->images;
        weights = work.weights > weights ? work.weights : weights;
    }
    row->bytes = elements * (double)pass->ops->activation_size;
    row->bytes += weight_bytes(pass, weights, backward);
    if (row->call == CALL_FORWARD || backward)
        return;
    row->macs = 0;
    row->bytes = row->call == CALL_PREPARE
                     ? weights * (sizeof(real) + (double)pass->ops->activation_size)
                     : norm_bytes(pass, &step->convolution);
}

void operation_row_name(const struct step *step, struct operation_row *row) {
    if (step->kind == STEP_DEPTHWISE)
        snprintf(row->kind, sizeof row->kind, "depthwise %dx%d/%d", step->convolution.kernel,
                 step->convolution.kernel, step->convolution.stride);
    else if (step->kind == STEP_COMBINE)
        snprintf(row->kind, sizeof row->kind, "combine%s%s",
                 step->combine.residual ? " residual" : "",
                 step->combine.bypass > 0 ? " bypass" : "");
    else
        snprintf(row->kind, sizeof row->kind, "%s", step->name);
}

static void print_channels(const struct pass *pass, const char *name, const struct tensor *tensor) {
    printf("\"%s\": [", name);
    for (int i = 0; i < pass->segment_count; i++)
        printf("%s%d", i ? ", " : "", kept_channels(pass, tensor, pass->segments[i].group));
    printf("], ");
}

static void print_shape(const struct pass *pass, const struct step *step) {
    const struct tensor *in, *out;
    if (step_is_convolution(step))
        in = step->convolution.input.tensor, out = &step->convolution.output;
    else if (step->kind == STEP_SQUEEZE_EXCITE)
        in = step->squeeze_excite.input.tensor, out = &step->squeeze_excite.hidden;
    else if (step->kind == STEP_COMBINE)
        in = step->combine.main.tensor, out = &step->combine.output;
    else
        in = step->pool.input.tensor, out = &step->pool.output;
    printf("\"height\": %d, \"width\": %d, ", in->height, in->width);
    if (step_is_convolution(step))
        printf("\"kernel\": %d, \"stride\": %d, ", step->convolution.kernel,
               step->convolution.stride);
    print_channels(pass, "in", in);
    print_channels(pass, "out", out);
}

void operation_row_print(const struct operation_bench *bench, const struct step *step,
                         const struct operation_row *row) {
    const struct pass *pass = bench->sets->passes[0];
    printf("{\"benchmark\": \"operation\", \"device\": \"%s\", \"widths\": \"%s\", \"groups\": %d, "
           "\"batch\": %d, \"layer\": \"%s\", \"operation\": \"%s\", \"call\": \"%s\", ",
           bench->device, bench->widths, bench->groups, bench->images, row->layer, row->kind,
           call_names[row->call]);
    print_shape(pass, step);
    printf("\"microseconds\": %.2f, \"bytes\": %.0f, \"macs\": %.0f, "
           "\"terabytes_per_second\": %.3f, \"share_of_copy\": %.3f, "
           "\"teraflops_per_second\": %.1f}\n",
           1e6 * row->time, row->bytes, row->macs, row->bytes / row->time / 1e12,
           row->bytes / row->time / bench->copy_speed, 2 * row->macs / row->time / 1e12);
}

/* ------------------------------------------------------------------ summary */

static bool same_kind(const struct operation_row *a, const struct operation_row *b) {
    return a->call == b->call && strcmp(a->kind, b->kind) == 0;
}

static void print_kind(const struct operation_bench *bench, const struct operation_row *rows,
                       int count, int first) {
    double shares[MOST_ROWS], time = 0, bytes = 0, worst = 0;
    const char *layer = "";
    int found = 0;
    for (int i = first; i < count; i++) {
        if (!same_kind(&rows[i], &rows[first]))
            continue;
        double share = rows[i].bytes / rows[i].time / bench->copy_speed;
        if (found == 0 || share < worst) {
            worst = share;
            layer = rows[i].layer;
        }
        shares[found++] = share;
        time += rows[i].time;
        bytes += rows[i].bytes;
    }
    printf("{\"benchmark\": \"operation summary\", \"device\": \"%s\", \"widths\": \"%s\", "
           "\"groups\": %d, \"batch\": %d, \"operation\": \"%s\", \"call\": \"%s\", \"rows\": %d, "
           "\"microseconds\": %.1f, \"microseconds_at_copy_speed\": %.1f, \"median_share\": %.3f, "
           "\"worst_share\": %.3f, \"worst_layer\": \"%s\"}\n",
           bench->device, bench->widths, bench->groups, bench->images, rows[first].kind,
           call_names[rows[first].call], found, 1e6 * time, 1e6 * bytes / bench->copy_speed,
           median_of(shares, found), worst, layer);
}

void operation_rows_summary(const struct operation_bench *bench, const struct operation_row *rows,
                            int count) {
    double time = 0, bytes = 0;
    for (int i = 0; i < count; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || same_kind(&rows[i], &rows[j]);
        if (!seen)
            print_kind(bench, rows, count, i);
        time += rows[i].time;
        bytes += rows[i].bytes;
    }
    printf("{\"benchmark\": \"operations together\", \"device\": \"%s\", \"widths\": \"%s\", "
           "\"groups\": %d, \"batch\": %d, \"rows\": %d, \"microseconds\": %.1f, "
           "\"microseconds_at_copy_speed\": %.1f}\n",
           bench->device, bench->widths, bench->groups, bench->images, count, 1e6 * time,
           1e6 * bytes / bench->copy_speed);
}
