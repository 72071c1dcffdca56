/* `taper help config`: every key, from the same table that reads them. */
#include "config/config.h"
#include "config/keys.h"

#include <string.h>

static const char network_help[] =
    "network: a list of layers in the order of the data; each reads the one before it.\n"
    "  input: {height: 28, width: 28, channels: 1}\n"
    "  classes: 10            width of the last layer\n"
    "  layers:\n"
    "    - {name: stem, type: convolution, width: 16, kernel: 3, stride: 1, activation: relu6}\n"
    "    - {name: block1, type: block, expand: {from: 48, to: 16, step: 8}, kernel: [7, 5, 3],\n"
    "       width: [16, 8], activation: relu6, may_be_absent: yes}\n"
    "    - {name: pool, type: pool}\n"
    "    - {name: classifier, type: linear, width: 10}\n"
    "  expand, kernel, width  a number (fixed); falling options [48, 32, 16]; a range\n"
    "                         {from: 48, to: 16, step: 8}; or {same_as: LAYER}: that layer's "
    "choice\n"
    "                         of the same dimension. A block without expand has no expansion "
    "layer\n"
    "  type                   convolution, block (expand, depthwise, project), pool, linear\n"
    "  stride                 1 or 2, default 1\n"
    "  activation             none, relu, relu6, hard_swish, hard_sigmoid; in a block: after\n"
    "                         expansion and depthwise\n"
    "  norm                   yes, no (then a bias), default yes: of a convolution\n"
    "  residual               yes, no: add the block's input; default: where stride is 1 and the\n"
    "                         widths agree\n"
    "  squeeze_excite         yes, no, default no: of a block\n"
    "  bypass                 T: input channels below it replace dropped filters; default: the "
    "width\n"
    "                         of blocks with stride 1, else 0\n"
    "  bypass_kind            crop, or pool (of 2x2 pixels) at stride 2; default: as the stride\n"
    "                         asks, and given pool, bypass defaults to the width\n"
    "  may_be_absent          yes, no, default no: the search may drop the whole block\n"
    "  present                yes, no: fixed (a found network has it)\n"
    "  input                  name of the layer before, default\n";

static const char budgets_help[] =
    "  budgets                list; each {metric: macs, share: 0.5} of the initial network,\n"
    "                         {metric: parameters, value: 20000}, or a command's metric\n"
    "                         {metric: phone, command: \"./measure.sh\", value: 12.5, deadline: "
    "60}\n"
    "                         (deadline: seconds for one answer, default 60)\n";

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
            printf("\n%s", network_help);
        else if (key->type == KEY_BUDGETS)
            printf("%s", budgets_help);
        else
            print_key(key, dot != NULL ? dot + 1 : key->path);
    }
    if (ferror(stdout))
        return fail(STATUS_FAILED, "cannot write to the standard output");
    return STATUS_OK;
}
