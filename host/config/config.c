#include "config/config.h"
#include "config/keys.h"
#include "data/picture_source.h"

#include <stdlib.h>
#include <string.h>

static size_t section_length(const char *path) {
    size_t length = strcspn(path, ".");
    return path[length] == '.' ? length : 0;
}

/* All names that may stand in a section ("": the top, sections and keys alike). */
static int names_in(const char *section, char (*names)[MAX_NAME], const char **list) {
    int count = 0;
    size_t length = strlen(section);
    for (int i = 0; i < key_count; i++) {
        const char *path = keys[i].path;
        const char *name = path;
        if (length > 0) {
            if (section_length(path) != length || strncmp(path, section, length) != 0)
                continue;
            name = path + length + 1;
        }
        snprintf(names[count], MAX_NAME, "%.*s", (int)strcspn(name, "."), name);
        if (count > 0 && strcmp(names[count], names[count - 1]) == 0)
            continue;
        list[count] = names[count];
        count++;
    }
    return count;
}

static bool is_section(const char *name) {
    size_t length = strlen(name);
    for (int i = 0; i < key_count; i++)
        if (section_length(keys[i].path) == length && strncmp(keys[i].path, name, length) == 0)
            return true;
    return false;
}

static enum status check_keys(const struct node *root) {
    char names[key_count][MAX_NAME];
    const char *list[key_count];
    TRY(check_known(root, list, names_in("", names, list)));
    for (const struct node *entry = root->first; entry != NULL; entry = entry->next) {
        if (!is_section(entry->key))
            continue;
        if (entry->kind != NODE_MAP)
            return node_fail(entry, "%s is a section: a map of keys", entry->key);
        TRY(check_known(entry, list, names_in(entry->key, names, list)));
    }
    return STATUS_OK;
}

/* The default of a key as a node of its own. */
static struct node fallback_node(const struct key *key, const struct node *root) {
    return (struct node){.kind = NODE_SCALAR,
                         .source = root->source,
                         .line = root->line,
                         .text = (char *)key->fallback};
}

static enum status read_key(struct config *config, const struct node *root, const struct key *key) {
    const struct node *node = node_find(root, key->path);
    if (node == NULL && key->fallback == NULL)
        return node_fail(root, "%s is missing: %s", key->path, key->help);
    struct node fallback = fallback_node(key, root);
    return key_read(key, node != NULL ? node : &fallback, config);
}

/* The network comes first: what follows may depend on its input. */
static enum status read_keys(struct config *config, const struct node *root) {
    for (int i = 0; i < key_count; i++)
        if (keys[i].type == KEY_NETWORK)
            TRY(read_key(config, root, &keys[i]));
    for (int i = 0; i < key_count; i++)
        if (keys[i].type != KEY_NETWORK)
            TRY(read_key(config, root, &keys[i]));
    return STATUS_OK;
}

/* Where a key was given, else the file. */
static const struct node *place_of(const struct node *root, const char *path) {
    const struct node *node = node_find(root, path);
    return node != NULL ? node : root;
}

static enum status check_groups(const struct config *config, const struct node *root) {
    int groups = config->supernet.subnets_per_batch;
    int images = config->supernet.training.batch_images;
    const struct node *at = place_of(root, "supernet.subnets_per_batch");
    if (images % groups != 0)
        return node_fail(at,
                         "supernet.subnets_per_batch %d does not divide supernet.batch_images %d",
                         groups, images);
    if (!config->supernet.shared_norm && images / groups < 2)
        return node_fail(at,
                         "supernet.subnets_per_batch %d leaves %d image per group of "
                         "supernet.batch_images %d: statistics of a group need at least 2; use "
                         "shared_norm: yes",
                         groups, images / groups, images);
    return STATUS_OK;
}

static enum status check_schedule(const struct training_config *training, const struct node *root,
                                  const char *section) {
    char path[MAX_NAME];
    snprintf(path, sizeof path, "%s.step_epochs", section);
    if (training->schedule == SCHEDULE_STEP && training->step_epochs <= 0)
        return node_fail(place_of(root, path), "%s must be over 0 for the step schedule", path);
    snprintf(path, sizeof path, "%s.warmup_epochs", section);
    if (training->warmup_epochs > training->epochs)
        return node_fail(place_of(root, path), "%s %g is more than the %g epochs of the training",
                         path, training->warmup_epochs, training->epochs);
    return STATUS_OK;
}

/* data.train_images 0 takes what there is: that is seen when the pictures are loaded. */
static enum status check_batch(const struct config *config, const struct node *root) {
    int images = config->data.train_images, batch = config->supernet.training.batch_images;
    if (images > 0 && batch > images)
        return node_fail(place_of(root, "supernet.batch_images"),
                         "supernet.batch_images %d is more than data.train_images %d", batch,
                         images);
    return STATUS_OK;
}

/* Pictures of idx files are not resized. */
static enum status check_resolutions(const struct config *config, const struct node *root) {
    int count = network_resolutions(&config->network);
    if (count > 1 && data_in_memory(&config->data))
        return node_fail(
            place_of(root, "network.input"),
            "network.input has %d sizes, but the pictures of data.source idx have one; "
            "use a folder, shards or a pack",
            count);
    return STATUS_OK;
}

static enum status check_source(const struct config *config, const struct node *root) {
    const char *source = config->data.source;
    int channels = config->network.channels;
    if (data_in_memory(&config->data))
        return STATUS_OK;
    if (!picture_source_known(source))
        return node_fail(place_of(root, "data.source"),
                         "data.source must be idx, folder, shards or pack, not '%.64s'", source);
    if (channels != 1 && channels != 3)
        return node_fail(place_of(root, "network.input.channels"),
                         "network.input.channels is %d; picture files have 1 or 3", channels);
    return STATUS_OK;
}

/* What must agree between keys. */
static enum status check_config(const struct config *config, const struct node *root) {
    TRY(check_source(config, root));
    if (config->data.classes != 0 && config->data.classes != config->network.classes)
        return node_fail(place_of(root, "data.classes"),
                         "data.classes %d is not network.classes %d", config->data.classes,
                         config->network.classes);
    if (config->data.class_name_count != 0 &&
        config->data.class_name_count != config->network.classes)
        return node_fail(place_of(root, "data.classes"),
                         "data.classes has %d names, but network.classes is %d",
                         config->data.class_name_count, config->network.classes);
    if (config->search.holdout_images > config->data.holdout_images)
        return node_fail(place_of(root, "search.holdout_images"),
                         "search.holdout_images %d is more than data.holdout_images %d",
                         config->search.holdout_images, config->data.holdout_images);
    TRY(check_schedule(&config->supernet.training, root, "supernet"));
    TRY(check_schedule(&config->train.training, root, "train"));
    TRY(check_batch(config, root));
    TRY(check_resolutions(config, root));
    if (config->latency.threads > config->latency.batch_images)
        return node_fail(place_of(root, "latency.threads"),
                         "latency.threads %d is more than latency.batch_images %d: threads share "
                         "pictures, none of which is shared itself",
                         config->latency.threads, config->latency.batch_images);
    return check_groups(config, root);
}

/* runs/NAME for some/folder/NAME.yaml */
static void default_folder(struct config *config, const char *path) {
    if (config->out[0] != '\0')
        return;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    int length = dot != NULL && dot != name ? (int)(dot - name) : (int)strlen(name);
    snprintf(config->out, sizeof config->out, "runs/%.*s", length, name);
}

enum status config_read(struct config *config, const char *path, const char *const *settings,
                        int setting_count) {
    struct node *root = NULL;
    enum status status;
    memset(config, 0, sizeof *config);
    TRY_CLEANUP(tree_read(&root, path));
    for (int i = 0; i < setting_count; i++)
        TRY_CLEANUP(tree_set(root, settings[i]));
    TRY_CLEANUP(check_keys(root));
    TRY_CLEANUP(read_keys(config, root));
    TRY_CLEANUP(check_config(config, root));
    default_folder(config, path);
done:
    if (status != STATUS_OK)
        config_release(config);
    tree_release(root);
    return status;
}

void config_release(struct config *config) {
    network_release(&config->network);
    free(config->data.class_names);
    config->data.class_names = NULL;
}
