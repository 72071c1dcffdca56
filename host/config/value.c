/* The value of a key: from a node into struct config, and back to YAML. */
#include "config/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A number for every channel, or a list of as many as the pictures have channels. */
static enum status read_channels(const struct key *key, const struct node *node, int channels,
                                 double *values) {
    if (node->kind != NODE_LIST) {
        TRY(read_number(node, key->path, key->least, key->most, &values[0]));
        for (int i = 1; i < 4; i++)
            values[i] = values[0];
        return STATUS_OK;
    }
    if (node->count != channels)
        return node_fail(node, "%s has %d numbers, but the pictures have %d channels", key->path,
                         node->count, channels);
    int filled = 0;
    for (const struct node *entry = node->first; entry != NULL; entry = entry->next)
        TRY(read_number(entry, key->path, key->least, key->most, &values[filled++]));
    for (; filled < 4; filled++)
        values[filled] = values[filled - 1];
    return STATUS_OK;
}

static enum status read_seed(const struct node *node, uint64_t *seed) {
    char *end = NULL;
    errno = 0;
    bool digits =
        node->kind == NODE_SCALAR && node->text[0] != '\0' && strspn(node->text, "0123456789") > 0;
    if (digits)
        *seed = strtoull(node->text, &end, 10);
    if (!digits || *end != '\0' || errno == ERANGE)
        return node_fail(node, "seed must be a whole number from 0 to 2^64 - 1");
    return STATUS_OK;
}

static enum status read_int(const struct key *key, const struct node *node, int *value) {
    long long number = 0;
    TRY(read_integer(node, key->path, (long long)key->least, (long long)key->most, &number));
    *value = (int)number;
    return STATUS_OK;
}

enum status key_read(const struct key *key, const struct node *node, struct config *config) {
    void *at = (char *)config + key->offset;
    switch (key->type) {
    case KEY_YES_NO:
        return read_yes_no(node, key->path, at);
    case KEY_INTEGER:
        return read_int(key, node, at);
    case KEY_SEED:
        return read_seed(node, at);
    case KEY_NUMBER:
        return read_number(node, key->path, key->least, key->most, at);
    case KEY_CHANNELS:
        return read_channels(key, node, config->network.channels, at);
    case KEY_CLASSES:
        return classes_read(key, node, at);
    case KEY_TEXT:
        return read_text(node, key->path, at, key->limit);
    case KEY_WORD: {
        int index = 0;
        TRY(read_word(node, key->path, key->words, &index));
        memcpy(at, &index, sizeof index); /* an enum of the same size */
        return STATUS_OK;
    }
    case KEY_NETWORK:
        return network_from_node(at, node);
    case KEY_BUDGETS:
        return budgets_read(node, at);
    }
    __builtin_unreachable();
}

static void write_channels(const double *values, int channels, FILE *file) {
    for (int i = 0; i < channels; i++) {
        fputs(i ? ", " : "[", file);
        write_number(values[i], file);
    }
    fputc(']', file);
}

void key_write(const struct key *key, const struct config *config, FILE *file) {
    const void *at = (const char *)config + key->offset;
    switch (key->type) {
    case KEY_YES_NO:
        fputs(*(const bool *)at ? "yes" : "no", file);
        break;
    case KEY_INTEGER:
        fprintf(file, "%d", *(const int *)at);
        break;
    case KEY_SEED:
        fprintf(file, "%" PRIu64, *(const uint64_t *)at);
        break;
    case KEY_NUMBER:
        write_number(*(const double *)at, file);
        break;
    case KEY_CHANNELS:
        write_channels(at, config->network.channels, file);
        break;
    case KEY_CLASSES:
        classes_write(at, file);
        break;
    case KEY_TEXT:
        write_text(at, file);
        break;
    case KEY_WORD: {
        int index;
        memcpy(&index, at, sizeof index);
        fputs(key->words[index], file);
    } break;
    case KEY_NETWORK:
        network_to_yaml(at, file);
        break;
    case KEY_BUDGETS:
        budgets_write(at, file);
        break;
    }
}
