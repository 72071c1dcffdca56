#include "config/tree.h"
#include "support/file.h"
#include "support/memory.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MOST_BYTES = 1 << 20, MOST_DEPTH = 32, MOST_ENTRIES = 4096 };

static void place(const struct node *node, char *text, size_t size) {
    if (node->line > 0)
        snprintf(text, size, "%s:%d", node->source, node->line);
    else
        snprintf(text, size, "--set %s", node->source);
}

enum status node_fail(const struct node *node, const char *format, ...) {
    char where[512], sentence[512];
    place(node, where, sizeof where);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return fail(STATUS_USAGE, "%s: %s", where, sentence);
}

enum status node_fail_in(const struct node *node, enum status status) {
    char where[512];
    place(node, where, sizeof where);
    return fail_in(status, "%s", where);
}

void tree_release(struct node *root) {
    while (root != NULL) {
        struct node *next = root->next;
        tree_release(root->first);
        free(root->key);
        free(root->text);
        free(root);
        root = next;
    }
}

/* A parser at one event. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* of type YAML_NO_EVENT: none is held */
    const char *source;
    bool file; /* has lines worth naming */
};

static struct node here(const struct reader *reader, size_t line) {
    return (struct node){.source = reader->source, .line = reader->file ? (int)line + 1 : 0};
}

static enum status next_event(struct reader *reader) {
    yaml_event_delete(&reader->event);
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        struct node node = here(reader, reader->parser.problem_mark.line);
        if (reader->parser.error == YAML_MEMORY_ERROR)
            return fail(STATUS_FAILED, "no memory to read %s", reader->source);
        return node_fail(&node, "this is not YAML: %s", reader->parser.problem);
    }
    struct node node = here(reader, reader->event.start_mark.line);
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return node_fail(&node, "aliases are not supported: write the value out");
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL || tag != NULL)
        return node_fail(&node, "%s are not supported: write the plain value",
                         anchor ? "anchors" : "tags");
    return STATUS_OK;
}

static enum status copy_text(const struct reader *reader, char **text) {
    const char *value = (const char *)reader->event.data.scalar.value;
    size_t length = reader->event.data.scalar.length;
    struct node node = here(reader, reader->event.start_mark.line);
    if (strlen(value) != length)
        return node_fail(&node, "a zero byte in a text");
    TRY(allocate(text, length + 1, 1, "a text of the configuration"));
    memcpy(*text, value, length);
    return STATUS_OK;
}

static struct node *child(const struct node *parent, const char *key, size_t length) {
    for (struct node *node = parent->first; node != NULL; node = node->next)
        if (node->key != NULL && strlen(node->key) == length &&
            strncmp(node->key, key, length) == 0)
            return node;
    return NULL;
}

static enum status new_child(struct node *parent, const struct node *at, struct node **made) {
    if (parent->count == MOST_ENTRIES)
        return node_fail(at, "more than %d entries", MOST_ENTRIES);
    TRY(allocate(made, 1, sizeof **made, "a node of the configuration"));
    **made = (struct node){.source = at->source, .line = at->line};
    if (parent->last != NULL)
        parent->last->next = *made;
    else
        parent->first = *made;
    parent->last = *made;
    parent->count++;
    return STATUS_OK;
}

static enum status read_value(struct reader *reader, struct node *node, int depth);

static enum status read_map(struct reader *reader, struct node *map, int depth) {
    TRY(next_event(reader));
    while (reader->event.type != YAML_MAPPING_END_EVENT) {
        struct node at = here(reader, reader->event.start_mark.line), *entry = NULL;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return node_fail(&at, "a key must be a word");
        const char *key = (const char *)reader->event.data.scalar.value;
        struct node *other = child(map, key, strlen(key));
        if (other != NULL && other->line > 0)
            return node_fail(&at, "key '%s' was given already on line %d", key, other->line);
        if (other != NULL)
            return node_fail(&at, "key '%s' is given twice", key);
        TRY(new_child(map, &at, &entry));
        TRY(copy_text(reader, &entry->key));
        TRY(next_event(reader));
        TRY(read_value(reader, entry, depth + 1));
        TRY(next_event(reader));
    }
    return STATUS_OK;
}

static enum status read_list(struct reader *reader, struct node *list, int depth) {
    TRY(next_event(reader));
    while (reader->event.type != YAML_SEQUENCE_END_EVENT) {
        struct node at = here(reader, reader->event.start_mark.line), *entry = NULL;
        TRY(new_child(list, &at, &entry));
        TRY(read_value(reader, entry, depth + 1));
        TRY(next_event(reader));
    }
    return STATUS_OK;
}

/* Fills a node from the value that starts at the held event. */
static enum status read_value(struct reader *reader, struct node *node, int depth) {
    if (depth > MOST_DEPTH)
        return node_fail(node, "nested deeper than %d levels", MOST_DEPTH);
    switch (reader->event.type) {
    case YAML_MAPPING_START_EVENT:
        node->kind = NODE_MAP;
        return read_map(reader, node, depth);
    case YAML_SEQUENCE_START_EVENT:
        node->kind = NODE_LIST;
        return read_list(reader, node, depth);
    default:
        node->kind = NODE_SCALAR;
        return copy_text(reader, &node->text);
    }
}

static enum status read_document(struct reader *reader, struct node *node) {
    TRY(next_event(reader)); /* start of the stream */
    TRY(next_event(reader));
    if (reader->event.type == YAML_STREAM_END_EVENT) { /* nothing: an empty text */
        node->kind = NODE_SCALAR;
        return allocate(&node->text, 1, 1, "a text of the configuration");
    }
    TRY(next_event(reader)); /* past the start of the document */
    TRY(read_value(reader, node, 1));
    TRY(next_event(reader)); /* end of the document */
    TRY(next_event(reader));
    struct node at = here(reader, reader->event.start_mark.line);
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return node_fail(&at, "a second YAML document");
    return STATUS_OK;
}

static enum status parse(struct node *node, const char *source, bool file, const char *text,
                         size_t size) {
    struct reader reader = {.source = source, .file = file};
    if (!yaml_parser_initialize(&reader.parser))
        return fail(STATUS_FAILED, "no memory for the YAML parser");
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
    enum status status = read_document(&reader, node);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return status;
}

enum status tree_read(struct node **root, const char *path) {
    char *text = NULL;
    size_t size;
    *root = NULL;
    TRY(file_read(path, MOST_BYTES, &text, &size));
    enum status status = allocate(root, 1, sizeof **root, "a node of the configuration");
    if (status == STATUS_OK) {
        (*root)->source = path;
        (*root)->line = 1;
        status = parse(*root, path, true, text, size);
    }
    if (status == STATUS_OK && (*root)->kind != NODE_MAP)
        status = node_fail(*root, "a configuration is a map of keys");
    free(text);
    return status;
}

/* The entry of a map or list with this key or number; of a map it is made when there is none. */
static enum status step_into(struct node *parent, const struct node *at, const char *key,
                             size_t length, struct node **entry) {
    if (parent->kind == NODE_LIST) {
        char *end;
        long number = strtol(key, &end, 10);
        if (end != key + length || number < 0 || number >= parent->count)
            return node_fail(at, "'%.*s' is not one of the entries 0..%d of a list", (int)length,
                             key, parent->count - 1);
        *entry = parent->first;
        while (number-- > 0)
            *entry = (*entry)->next;
        return STATUS_OK;
    }
    *entry = child(parent, key, length);
    if (parent->kind != NODE_MAP || length == 0)
        return node_fail(at, "there is no key '%.*s' here", (int)length, key);
    if (*entry != NULL)
        return STATUS_OK;
    TRY(new_child(parent, at, entry));
    (*entry)->kind = NODE_MAP;
    TRY(allocate(&(*entry)->key, length + 1, 1, "a text of the configuration"));
    memcpy((*entry)->key, key, length);
    return STATUS_OK;
}

enum status tree_set(struct node *root, const char *setting) {
    const struct node at = {.source = setting};
    const char *value = strchr(setting, '='), *key = setting;
    if (value == NULL)
        return node_fail(&at, "a setting is written KEY=VALUE");
    struct node *node = root;
    for (;;) {
        size_t length = strcspn(key, ".=");
        TRY(step_into(node, &at, key, length, &node));
        if (key[length] == '=')
            break;
        key += length + 1;
    }
    tree_release(node->first);
    free(node->text);
    node->first = node->last = NULL;
    node->text = NULL;
    node->count = 0;
    node->source = setting;
    node->line = 0;
    value++;
    return parse(node, setting, false, value, strlen(value));
}

const struct node *node_find(const struct node *root, const char *path) {
    const struct node *node = root;
    while (node != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        node = child(node, path, length);
        path += length + (path[length] == '.');
    }
    return node;
}
