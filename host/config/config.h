/* A run's configuration: one YAML document, checked key by key.
 *
 * Grammar, ranges and defaults are the key table in keys.c; the `network` section is read by
 * network_yaml.c. Unknown keys (the nearest valid one is named), wrong types, values out of range,
 * aliases, tags, duplicate keys, depth over 32 and files over 1 MB are errors "FILE:LINE:
 * sentence".
 */
#ifndef TAPER_CONFIG_H
#define TAPER_CONFIG_H

#include "cluster/cluster.h"
#include "data/dataset.h"
#include "metric/latency_config.h"
#include "network/network.h"
#include "search/strategy.h"
#include "supernet/backend.h"
#include "training/training.h"

struct config {
    uint64_t seed;
    char out[512]; /* run folder; default runs/NAME of the file */
    int threads;   /* 0: one per core */
    enum device device;
    enum precision precision;
    char backend[512]; /* library of the CUDA backend; empty: backend_find() */
    struct cluster_config cluster;
    struct data_config data;
    struct network network;
    double norm_epsilon;
    struct supernet_config supernet;
    struct search_config search;
    struct latency_config latency;
    struct train_config train;
};

/* settings: "key.path=value" strings, later ones win over earlier ones and over the file; value is
 * parsed as YAML. */
enum status config_read(struct config *config, const char *path, const char *const *settings,
                        int setting_count);
void config_release(struct config *config);

/* The fully resolved configuration as YAML that config_read() takes back to the same values. */
enum status config_write(const struct config *config, const char *path);

/* Hash of the keys that a step's result depends on: a step of a run folder is repeated exactly when
 * its hash changed. Search depends on the super-network's keys, training on the search's. */
enum config_step { STEP_SUPERNET, STEP_SEARCH, STEP_TRAIN };
enum status config_hash(const struct config *config, enum config_step step, uint64_t *hash);

/* The reference of all keys with types, ranges, defaults and meaning, from the parser's own table.
 */
enum status config_help(void);

/* A network alone, in the same YAML: found.yaml. `head` lines go in front as comments. */
enum status network_write(const struct network *network, const char *path, const char *head);
enum status network_read(struct network *network, const char *path);

#endif
