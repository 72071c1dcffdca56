/* `taper help config`: every key, from the same table that reads them. */
#include "config/config.h"
#include "config/keys.h"

#include <string.h>

static const char network_help[] =
    "network: a list of layers in the order of the data; each reads the one before it.\n"
    "  input: {height: 28, width: 28, channels: 1}\n"
    "                         height and width as lists that fall, [224, 192, 160]: pictures of\n"
    "                         several sizes, of which the search chooses one\n"
    "  classes: 10            width of the last layer\n"
    "  layers:\n"
    "    - {name: stem, type: convolution, width: 16, kernel: 3, stride: 1, activation: relu6}\n"
    "    - {name: block1, type: block, expand: {from: 48, to: 16, step: 8}, kernel: [7, 5, 3],\n"
    "       width: [16, 8], activation: relu6, may_be_absent: yes}\n"
    "    - {name: pool, type: pool}\n"
    "    - {name: classifier, type: linear, width: 10}\n"
    "  expand, kernel and width are a number (fixed), falling options [48, 32, 16], a range\n"
    "  {from: 48, to: 16, step: 8}, or {same_as: LAYER}: that layer's choice of the same "
    "dimension.\n"
    "  Keys of a layer:\n";

static const char budgets_help[] =
    "  budgets                list: what the found network may cost, must be given:\n"
    "                         [{metric: macs, share: 0.5}, {metric: latency, value: 3.5},\n"
    "                         {metric: phone, value: 12.5, command: \"./measure.sh\"}]; keys of a\n"
    "                         budget:\n";

/* "convolution, block" */
static void print_kinds(int layers) {
    const char *between = "";
    for (int kind = 0; layer_words[kind] != NULL; kind++) {
        if (!(layers & 1 << kind))
            continue;
        printf("%s%s", between, layer_words[kind]);
        between = ", ";
    }
}

static void print_map_keys(const struct map_key *map_keys, int count) {
    for (int i = 0; i < count; i++) {
        printf("    %-20s %s", map_keys[i].name, map_keys[i].help);
        if (map_keys[i].layers != 0) {
            printf("\n    %-20s of: ", "");
            print_kinds(map_keys[i].layers);
        }
        putchar('\n');
    }
}

static void print_type(const struct key *key) {
    switch (key->type) {
    case KEY_YES_NO:
        printf("yes or no");
        break;
    case KEY_SEED:
        printf("whole number");
        break;
    case KEY_INTEGER:
        printf("whole number %.0f..%.0f", key->least, key->most);
        break;
    case KEY_NUMBER:
        printf("number %g..%g", key->least, key->most);
        break;
    case KEY_CLASSES:
        printf("whole number %.0f..%.0f, or a list of names", key->least, key->most);
        break;
    case KEY_CHANNELS:
        printf("number %g..%g, or a list of one per channel", key->least, key->most);
        break;
    case KEY_WORD:
        for (int i = 0; key->words[i] != NULL; i++)
            printf("%s%s", i ? " or " : "", key->words[i]);
        break;
    default:
        printf("text");
    }
}

static void print_key(const struct key *key, const char *name) {
    printf("  %-22s %s", name, key->help);
    printf("\n  %-22s ", "");
    print_type(key);
    if (key->unit != NULL)
        printf(" (%s)", key->unit);
    if (key->fallback == NULL)
        printf(", must be given");
    else if (key->fallback[0] != '\0')
        printf(", default %s", key->fallback);
    putchar('\n');
}

static void print_network(void) {
    printf("\n%s", network_help);
    print_map_keys(layer_keys, layer_key_count);
}

static void print_budgets(void) {
    fputs(budgets_help, stdout);
    print_map_keys(budget_keys, budget_key_count);
}

enum status config_help(void) {
    const char *section = "";
    size_t length = 0;
    for (int i = 0; i < key_count; i++) {
        const struct key *key = &keys[i];
        const char *dot = strchr(key->path, '.');
        size_t now = dot != NULL ? (size_t)(dot - key->path) : 0;
        if (now != 0 && (now != length || strncmp(section, key->path, now) != 0))
            printf("\n%.*s:\n", (int)now, key->path);
        section = key->path;
        length = now;
        if (key->type == KEY_NETWORK)
            print_network();
        else if (key->type == KEY_BUDGETS)
            print_budgets();
        else
            print_key(key, dot != NULL ? dot + 1 : key->path);
    }
    if (ferror(stdout))
        return fail(STATUS_FAILED, "cannot write to the standard output");
    return STATUS_OK;
}
