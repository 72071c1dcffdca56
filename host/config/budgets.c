/* search.budgets: a list of metrics, each with the most that the found network may cost. */
#include "config/keys.h"

#include <string.h>

static enum status read_budget(const struct node *node, struct search_config *search) {
    if (node->kind != NODE_MAP)
        return node_fail(node, "a budget is a map: {metric: macs, share: 0.5}");
    TRY(check_map_keys(node, budget_keys, budget_key_count));
    const struct node *metric = node_find(node, "metric"), *share = node_find(node, "share"),
                      *value = node_find(node, "value"), *command = node_find(node, "command"),
                      *deadline = node_find(node, "deadline");
    if (metric == NULL)
        return node_fail(node, "a budget needs a metric");
    if ((share != NULL) == (value != NULL))
        return node_fail(node, "a budget needs either a share of the initial network or a value");
    if (deadline != NULL && command == NULL)
        return node_fail(deadline, "only a metric with a command has a deadline");
    typeof(search->budgets[0]) *budget = &search->budgets[search->budget_count];
    memset(budget, 0, sizeof *budget);
    TRY(read_text(metric, "metric", budget->metric.name, sizeof budget->metric.name));
    if (share != NULL)
        TRY(read_number(share, "share", 1e-9, 1, &budget->share));
    if (value != NULL)
        TRY(read_number(value, "value", 1e-30, 1e30, &budget->value));
    if (command != NULL)
        TRY(read_text(command, "command", budget->metric.command, sizeof budget->metric.command));
    budget->metric.deadline = 60;
    if (deadline != NULL)
        TRY(read_number(deadline, "deadline", 1e-3, 1e6, &budget->metric.deadline));
    for (int i = 0; i < search->budget_count; i++)
        if (strcmp(search->budgets[i].metric.name, budget->metric.name) == 0)
            return node_fail(node, "metric '%s' has a budget already", budget->metric.name);
    search->budget_count++;
    return STATUS_OK;
}

enum status budgets_read(const struct node *node, struct search_config *search) {
    search->budget_count = 0;
    if (node->kind != NODE_LIST || node->count < 1 || node->count > MAX_BUDGETS)
        return node_fail(
            node, "search.budgets is a list of 1 to %d budgets: [{metric: macs, share: 0.5}]",
            MAX_BUDGETS);
    for (const struct node *entry = node->first; entry != NULL; entry = entry->next)
        TRY(read_budget(entry, search));
    return STATUS_OK;
}

void budgets_write(const struct search_config *search, FILE *file) {
    for (int i = 0; i < search->budget_count; i++) {
        const struct metric_config *metric = &search->budgets[i].metric;
        fputs("\n    - {metric: ", file);
        write_text(metric->name, file);
        bool share = search->budgets[i].share != 0;
        fputs(share ? ", share: " : ", value: ", file);
        write_number(share ? search->budgets[i].share : search->budgets[i].value, file);
        if (metric->command[0] != '\0') {
            fputs(", command: ", file);
            write_text(metric->command, file);
            fputs(", deadline: ", file);
            write_number(metric->deadline, file);
        }
        fputc('}', file);
    }
}
