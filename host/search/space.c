#include "search/space.h"
#include "metric/bench.h"
#include "report/format.h"

#include <stdio.h>

void space_release(struct search_space *space) {
    for (int i = 0; i < space->metric_count; i++)
        metric_release(space->metrics[i]);
}

/* What the budgets' metrics are measured on; nothing for those that are counted. A run that is not
 * open yet only reads what was measured before. */
static enum status create_bench(struct bench *bench, const struct run *run) {
    const struct config *config = &run->config;
    const struct pass_options options = run_pass_options(config);
    const struct ops *ops = run->ops;
    char reason[BACKEND_REASON];
    uint64_t hash;
    bool needed = false;
    *bench = (struct bench){0};
    for (int i = 0; i < config->search.budget_count; i++)
        needed |= metric_needs_bench(&config->search.budgets[i].metric);
    if (!needed)
        return STATUS_OK;
    if (ops == NULL)
        TRY(backend_choose(config->device, config->backend, config->precision, &ops, reason));
    TRY(bench_create(bench, ops, config->backend, &config->latency, &options));
    run_path(run, "latency.jsonl", bench->notebook);
    bench->notes = run->ops != NULL;
    bench->log = run->log;
    return run_hash(run, STEP_SEARCH, &hash, bench->search);
}

enum status space_create(struct search_space *space, const struct run *run) {
    const struct search_config *config = &run->config.search;
    const struct subnetwork largest = subnetwork_largest(&run->config.network);
    *space = (struct search_space){
        .network = &run->config.network, .seed = run->config.seed, .config = *config};
    struct bench bench;
    TRY(create_bench(&bench, run));
    for (int i = 0; i < config->budget_count; i++) {
        double initial;
        TRY(metric_create(&space->metrics[i], &config->budgets[i].metric, space->network, &bench));
        space->metric_count++;
        space->budgets[i] = config->budgets[i].value;
        if (config->budgets[i].share > 0) {
            TRY(metric_value(space->metrics[i], &largest, &initial));
            space->budgets[i] = config->budgets[i].share * initial;
        }
    }
    return STATUS_OK;
}

void space_describe(const struct search_space *space, const struct sample *sample, char *text,
                    size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < space->metric_count && used < size; i++) {
        char value[FORMAT_SIZE];
        if (sample->metrics[i] >= 1e5)
            format_millions(value, sample->metrics[i], 3);
        else
            snprintf(value, sizeof value, "%.4g", sample->metrics[i]);
        used += (size_t)snprintf(text + used, size - used, "%s%s %s", i ? ", " : "",
                                 metric_name(space->metrics[i]), value);
    }
}
