/* A YAML document as a tree of nodes that know their place.
 *
 * Only what a configuration needs: maps, lists and scalars. Aliases, anchors, tags, duplicate keys,
 * a second document, depth over 32, more than 4096 entries in one map or list, and files over 1 MB
 * are errors.
 */
#ifndef TAPER_TREE_H
#define TAPER_TREE_H

#include "support/status.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    const char *source; /* the file's name, or the setting of a command line; not owned */
    int line;           /* in the file; of a map's entry: where its key stands. 0: a setting */
    char *key;          /* of a map's entry, else NULL */
    char *text;         /* of a scalar */
    int count;          /* entries of a list or map */
    struct node *first, *last, *next;
};

/* path and settings must live as long as the tree. */
enum status tree_read(struct node **root, const char *path);
/* Puts the value of "key.path=value" (the value being YAML) into the tree, over an older one.
 * Entries of lists are numbered from 0: search.budgets.0.share. */
enum status tree_set(struct node *root, const char *setting);
void tree_release(struct node *root); /* NULL is fine */

/* The node at a dotted path below a map, or NULL. */
const struct node *node_find(const struct node *root, const char *path);

/* fail() with the node's place in front: "FILE:LINE: sentence" or "--set KEY=VALUE: sentence". */
enum status node_fail(const struct node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same place in front of the sentence that is kept already. */
enum status node_fail_in(const struct node *node, enum status status);

#endif
