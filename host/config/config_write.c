/* The whole configuration as text: the file, and the hashes of the steps. */
#include "config/config.h"
#include "config/keys.h"
#include "support/file.h"
#include "support/text.h"

#include <stdlib.h>
#include <string.h>

/* Opens a section when the key is the first of it; returns the key's name within. */
static const char *begin_key(const struct key *key, const struct key *before, FILE *file) {
    const char *dot = strchr(key->path, '.');
    if (dot == NULL) {
        fputs(key->type == KEY_NETWORK ? "\n" : "", file);
        return key->path;
    }
    int length = (int)(dot - key->path) + 1;
    if (before == NULL || strncmp(before->path, key->path, length) != 0)
        fprintf(file, "\n%.*s:\n", length - 1, key->path);
    fputs("  ", file);
    return dot + 1;
}

static void write_keys(const void *context, FILE *file) {
    const struct config *config = context;
    for (int i = 0; i < key_count; i++) {
        const char *name = begin_key(&keys[i], i > 0 ? &keys[i - 1] : NULL, file);
        bool lines = keys[i].type == KEY_NETWORK || keys[i].type == KEY_BUDGETS;
        fprintf(file, lines ? "%s:" : "%s: ", name);
        key_write(&keys[i], config, file);
        if (keys[i].unit != NULL)
            fprintf(file, " # %s", keys[i].unit);
        fputc('\n', file);
    }
}

enum status config_write(const struct config *config, const char *path) {
    return file_replace_text(path, write_keys, config);
}

enum status config_hash(const struct config *config, enum config_step step, uint64_t *hash) {
    static const char what[] = "the hash of the configuration";
    struct text text;
    FILE *file;
    TRY(text_open(&text, &file, what));
    for (int i = 0; i < key_count; i++) {
        if (keys[i].first_step > (int)step)
            continue;
        fprintf(file, "%s: ", keys[i].path);
        if (keys[i].type == KEY_CLASSES) /* their names change no result */
            fprintf(file, "%d", config->data.classes);
        else
            key_write(&keys[i], config, file);
        fputc('\n', file);
    }
    TRY(text_close(&text, file, what));
    *hash = hash_bytes(HASH_START, text.bytes, text.size);
    free(text.bytes);
    return STATUS_OK;
}
