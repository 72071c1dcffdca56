/* The table of all keys of a configuration: it drives reading, writing, hashes and the reference.
 */
#ifndef TAPER_KEYS_H
#define TAPER_KEYS_H

#include "config/config.h"
#include "config/tree.h"
#include "network/words.h"
#include <stdio.h>

enum key_type {
    KEY_YES_NO,   /* bool */
    KEY_INTEGER,  /* int */
    KEY_SEED,     /* uint64_t */
    KEY_NUMBER,   /* double */
    KEY_CHANNELS, /* double[4]: a number for all channels of a picture, or a list, one for each */
    KEY_CLASSES,  /* a number, or a list of names: in struct data_config */
    KEY_TEXT,     /* char[limit] */
    KEY_WORD,     /* an enum: index into words */
    KEY_NETWORK,  /* struct network */
    KEY_BUDGETS   /* search.budgets */
};

enum { NO_STEP = STEP_TRAIN + 1 };

struct key {
    const char *path; /* "section.key" or "key" */
    enum key_type type;
    size_t offset; /* in struct config */
    double least, most;
    const char *fallback;     /* default, as YAML; NULL: the key is required */
    const char *unit;         /* or NULL */
    int first_step;           /* the first step (enum config_step) whose result it changes */
    const char *help;         /* one line */
    size_t limit;             /* of a text, with its end */
    const char *const *words; /* of a word, NULL at the end */
};

extern const struct key keys[];
extern const int key_count;

/* `network` gives the number of channels: read first. */
enum status key_read(const struct key *key, const struct node *node, struct config *config);
/* Writes the value alone, on one line; a network or budgets as indented lines. */
void key_write(const struct key *key, const struct config *config, FILE *file);

/* Scalars of any section; `name` is what the sentence calls the value. */
enum status read_yes_no(const struct node *node, const char *name, bool *value);
enum status read_integer(const struct node *node, const char *name, long long least, long long most,
                         long long *value);
enum status read_number(const struct node *node, const char *name, double least, double most,
                        double *value);
enum status read_text(const struct node *node, const char *name, char *text, size_t size);
enum status read_word(const struct node *node, const char *name, const char *const *words,
                      int *index);
void write_number(double value, FILE *file); /* the fewest digits that read back the same */
void write_text(const char *text, FILE *file);

/* The candidate with the smallest edit distance. */
const char *nearest(const char *word, const char *const *candidates, int count);

/* For a map whose keys are none of a table of keys: a sentence with the nearest valid one. */
enum status check_known(const struct node *map, const char *const *names, int count);

/* A key of a layer or of a budget (map_keys.c). */
struct map_key {
    const char *name;
    int layers; /* of a layer: which kinds have it, 1 << enum layer_kind each */
    const char *help;
};
enum { MAX_MAP_KEYS = 32 };
extern const struct map_key layer_keys[], budget_keys[];
extern const int layer_key_count, budget_key_count;
enum status check_map_keys(const struct node *map, const struct map_key *known, int count);

/* network_yaml.c, network_write.c, classes.c, budgets.c */
enum status network_from_node(struct network *network, const struct node *section);
void network_to_yaml(const struct network *network, FILE *file);
enum status classes_read(const struct key *key, const struct node *node, struct data_config *data);
void classes_write(const struct data_config *data, FILE *file);
enum status budgets_read(const struct node *node, struct search_config *search);
void budgets_write(const struct search_config *search, FILE *file);

#endif
