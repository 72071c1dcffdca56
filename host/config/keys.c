#include "config/keys.h"

#define AT(member) offsetof(struct config, member)
#define TEXT_SIZE(member) sizeof(((struct config *)0)->member)

static const char *const optimiser_words[] = {
    [OPTIMISER_SGD] = "sgd", [OPTIMISER_RMSPROP] = "rmsprop", NULL};
static const char *const schedule_words[] = {
    [SCHEDULE_COSINE] = "cosine", [SCHEDULE_STEP] = "step", NULL};
static const char *const device_words[] = {
    [DEVICE_AUTO] = "auto", [DEVICE_CPU] = "cpu", [DEVICE_CUDA] = "cuda", NULL};
static const char *const precision_words[] = {
    [PRECISION_FP32] = "fp32", [PRECISION_BF16] = "bf16", NULL};
static const char *const draw_words[] = {
    [DRAW_BALANCED] = "balanced", [DRAW_UNIFORM] = "uniform", NULL};

enum { MANY = 1000000000 };

/* clang-format off */
#define TRAINING_KEYS(section, member, step)                                                       \
    {section ".epochs", KEY_NUMBER, AT(member.epochs), 0, 100000, "10", "epochs", step,            \
     "how long to train", 0, NULL},                                                                \
    {section ".batch_images", KEY_INTEGER, AT(member.batch_images), 1, 65536, "64", "images",      \
     step, "images of one step", 0, NULL},                                                         \
    {section ".optimiser", KEY_WORD, AT(member.optimiser), 0, 0, "sgd", NULL, step,                \
     "how a gradient becomes a step", 0, optimiser_words},                                         \
    {section ".learning_rate", KEY_NUMBER, AT(member.learning_rate), 0, 1000, "0.1", NULL, step,   \
     "for the whole batch, at the top of the schedule", 0, NULL},                                  \
    {section ".momentum", KEY_NUMBER, AT(member.momentum), 0, 1, "0.9", NULL, step,                \
     "share of the last step that is kept", 0, NULL},                                              \
    {section ".nesterov", KEY_YES_NO, AT(member.nesterov), 0, 1, "yes", NULL, step,                \
     "Nesterov's momentum (sgd)", 0, NULL},                                                        \
    {section ".weight_decay", KEY_NUMBER, AT(member.weight_decay), 0, 1, "1e-4", NULL, step,       \
     "of weights; not of batch-norms and biases", 0, NULL},                                        \
    {section ".alpha", KEY_NUMBER, AT(member.alpha), 0, 1, "0.9", NULL, step,                      \
     "share of the squared gradients that is kept (rmsprop)", 0, NULL},                            \
    {section ".epsilon", KEY_NUMBER, AT(member.epsilon), 0, 1, "1e-3", NULL, step,                 \
     "added to the root of the squared gradients (rmsprop)", 0, NULL},                             \
    {section ".schedule", KEY_WORD, AT(member.schedule), 0, 0, "cosine", NULL, step,               \
     "how the learning rate falls", 0, schedule_words},                                            \
    {section ".warmup_epochs", KEY_NUMBER, AT(member.warmup_epochs), 0, 100000, "0", "epochs",     \
     step, "the learning rate rises from 0 so long", 0, NULL},                                     \
    {section ".step_epochs", KEY_NUMBER, AT(member.step_epochs), 0, 100000, "2.4", "epochs", step, \
     "between two falls of the step schedule", 0, NULL},                                           \
    {section ".step_factor", KEY_NUMBER, AT(member.step_factor), 0, 1, "0.97", NULL, step,         \
     "of one fall of the step schedule", 0, NULL},                                                 \
    {section ".label_smoothing", KEY_NUMBER, AT(member.label_smoothing), 0, 1, "0", NULL, step,    \
     "share of a label that is spread over all classes", 0, NULL},                                 \
    {section ".ema", KEY_NUMBER, AT(member.ema), 0, 0.999999, "0", NULL, step,                     \
     "decay per step of the averaged weights; 0: none are kept", 0, NULL},                         \
    {section ".save_seconds", KEY_NUMBER, AT(member.save_seconds), 0, MANY, "60", "seconds",       \
     NO_STEP, "longest time that a kill can undo", 0, NULL},                                       \
    {section ".guard_returns", KEY_INTEGER, AT(member.guard_returns), 0, 1000, "3", NULL, step,    \
     "most returns to a good state after a divergence, then it stops; 0: it stops at once", 0,     \
     NULL},                                                                                        \
    {section ".guard_window", KEY_INTEGER, AT(member.guard_window), 1, MANY, "20", "steps", step,  \
     "between two good states; one in which the loss diverges is skipped", 0, NULL},               \
    {section ".guard_jump", KEY_NUMBER, AT(member.guard_jump), 0, 1e6, "5", "times its lowest mean",      \
     step, "a loss over it, and over that of guessing, diverges; 0: only one that is not finite",  \
     0, NULL},                                                                                     \
    {section ".guard_rate", KEY_NUMBER, AT(member.guard_rate), 1e-6, 1, "0.5", NULL, step,         \
     "factor on the learning rate after every return", 0, NULL}

const struct key keys[] = {
    {"seed", KEY_SEED, AT(seed), 0, 0, "1", NULL, STEP_SUPERNET,
     "of all random numbers", 0, NULL},
    {"out", KEY_TEXT, AT(out), 0, 0, "", NULL, NO_STEP,
     "folder of the run; empty: runs/ and the name of this file", TEXT_SIZE(out), NULL},
    {"threads", KEY_INTEGER, AT(threads), 0, 256, "0", NULL, NO_STEP,
     "workers; 0: one per core (results do not depend on it)", 0, NULL},
    {"device", KEY_WORD, AT(device), 0, 0, "auto", NULL, NO_STEP,
     "auto: CUDA where it works", 0, device_words},
    {"precision", KEY_WORD, AT(precision), 0, 0, "bf16", NULL, NO_STEP,
     "of activations and products on CUDA; the CPU has fp32 only", 0, precision_words},
    {"backend", KEY_TEXT, AT(backend), 0, 0, "", NULL, NO_STEP,
     "library of the CUDA backend; empty: beside the program", TEXT_SIZE(backend), NULL},

    {"cluster.deadline", KEY_NUMBER, AT(cluster.deadline), 1, 86400, "300", "seconds", NO_STEP,
     "that a rank waits for the others before it calls those that do not come lost", 0, NULL},
    {"cluster.deterministic", KEY_YES_NO, AT(cluster.deterministic), 0, 1, "yes", NULL, NO_STEP,
     "the same bits for any number of ranks; no: less is sent, sums are rounded otherwise", 0,
     NULL},

    {"data.source", KEY_TEXT, AT(data.source), 0, 0, "idx", NULL, STEP_SUPERNET,
     "kind of files: idx, folder, shards or pack", TEXT_SIZE(data.source), NULL},
    {"data.folder", KEY_TEXT, AT(data.folder), 0, 0, NULL, NULL, STEP_SUPERNET,
     "where they are", TEXT_SIZE(data.folder), NULL},
    {"data.train", KEY_TEXT, AT(data.train), 0, 0, "", NULL, STEP_SUPERNET,
     "training part in it; empty: train (folder), train-*.tar (shards), train.pack (pack)",
     TEXT_SIZE(data.train), NULL},
    {"data.test", KEY_TEXT, AT(data.test), 0, 0, "", NULL, STEP_TRAIN,
     "test part in it; empty: val, else test (folder), val-*.tar (shards), val.pack (pack)",
     TEXT_SIZE(data.test), NULL},
    {"data.class_list", KEY_TEXT, AT(data.class_list), 0, 0, "", NULL, STEP_SUPERNET,
     "file with a class per line in the order of labels: FOLDER, or FOLDER, a tab and its NAME; "
     "empty: all, sorted", TEXT_SIZE(data.class_list), NULL},
    {"data.max_bad_images", KEY_INTEGER, AT(data.max_bad_images), 0, MANY, "0", "images", NO_STEP,
     "so many pictures that cannot be read are left out, then it stops (not idx)", 0, NULL},
    {"data.holdout_images", KEY_INTEGER, AT(data.holdout_images), 1, MANY, "5000", "images",
     STEP_SUPERNET, "training images kept back, the same number per class: they score the search",
     0, NULL},
    {"data.train_images", KEY_INTEGER, AT(data.train_images), 0, MANY, "0", "images",
     STEP_SUPERNET, "use only so many of the rest; 0: all", 0, NULL},
    {"data.test_images", KEY_INTEGER, AT(data.test_images), 0, MANY, "0", "images", STEP_TRAIN,
     "use only the first so many; 0: all", 0, NULL},
    {"data.classes", KEY_CLASSES, AT(data), 0, MOST_CLASSES, "0", NULL, STEP_SUPERNET,
     "their names in the order of the labels, which win over the pictures' own, or how many; 0: as "
     "the files say", 0, NULL},
    {"data.mean", KEY_CHANNELS, AT(data.mean), 0, 1, "0.5", "of values in 0..1", STEP_SUPERNET,
     "subtracted from a channel", 0, NULL},
    {"data.deviation", KEY_CHANNELS, AT(data.deviation), 1e-3, 1000, "0.5", "of values in 0..1",
     STEP_SUPERNET, "then divides it", 0, NULL},
    {"data.crop_padding", KEY_INTEGER, AT(data.crop_padding), 0, 1024, "0", "pixels",
     STEP_SUPERNET, "zeros around a training image before a random crop of its size", 0, NULL},
    {"data.flip", KEY_YES_NO, AT(data.flip), 0, 1, "no", NULL, STEP_SUPERNET,
     "mirror every other training image, by chance", 0, NULL},
    {"data.smallest_crop", KEY_NUMBER, AT(data.smallest_crop), 0.001, 1, "0.08", "of the area",
     STEP_SUPERNET, "random part of a picture file for training, resized; 1: the whole", 0, NULL},
    {"data.crop_ratio", KEY_NUMBER, AT(data.crop_ratio), 1, 100, "1.3333333333333333", NULL,
     STEP_SUPERNET, "its width / height is from 1 / ratio to ratio", 0, NULL},
    {"data.brightness", KEY_NUMBER, AT(data.jitter[JITTER_BRIGHTNESS]), 0, 10, "0", NULL,
     STEP_SUPERNET, "of picture files, times a factor drawn from 1 - x to 1 + x", 0, NULL},
    {"data.contrast", KEY_NUMBER, AT(data.jitter[JITTER_CONTRAST]), 0, 10, "0", NULL,
     STEP_SUPERNET, "the same", 0, NULL},
    {"data.saturation", KEY_NUMBER, AT(data.jitter[JITTER_SATURATION]), 0, 10, "0", NULL,
     STEP_SUPERNET, "the same", 0, NULL},
    {"data.centre", KEY_NUMBER, AT(data.centre), 0, 1, "0.875", NULL, STEP_SUPERNET,
     "evaluation sees this share of a picture file's short side, cut from the centre; 0: all, "
     "stretched", 0, NULL},
    {"data.shrink", KEY_INTEGER, AT(data.shrink), 1, 8, "8", NULL, STEP_SUPERNET,
     "JPEG decoders may shrink by up to so much where a network reads less; 1: never", 0, NULL},
    {"data.decoders", KEY_INTEGER, AT(data.decoders), 0, 1024, "0", "threads", NO_STEP,
     "make batches of picture files; 0: as many as workers", 0, NULL},

    {"network", KEY_NETWORK, AT(network), 0, 0, NULL, NULL, STEP_SUPERNET,
     "the network and its options", 0, NULL},

    TRAINING_KEYS("supernet", supernet.training, STEP_SUPERNET),
    {"supernet.subnets_per_batch", KEY_INTEGER, AT(supernet.subnets_per_batch), 1, 65536, "8",
     NULL, STEP_SUPERNET, "groups of a batch, each with a sub-network of its own", 0, NULL},
    {"supernet.shared_norm", KEY_YES_NO, AT(supernet.shared_norm), 0, 1, "no", NULL,
     STEP_SUPERNET, "batch-norm over all images that keep a channel; no: each group its own", 0,
     NULL},
    {"supernet.norm_epsilon", KEY_NUMBER, AT(norm_epsilon), 1e-12, 1, "1e-5", NULL, STEP_SUPERNET,
     "added to the variances of batch-norms, the found network's too", 0, NULL},
    {"supernet.draw", KEY_WORD, AT(supernet.draw), 0, 0, "balanced", NULL, STEP_SUPERNET,
     "how sub-networks are drawn", 0, draw_words},
    {"supernet.width_warmup_epochs", KEY_NUMBER, AT(supernet.width_warmup_epochs), 0, 100000, "0",
     "epochs", STEP_SUPERNET, "smaller options join in over so long; 0: all from the start", 0,
     NULL},

    {"search.strategy", KEY_TEXT, AT(search.strategy), 0, 0, "multi_layer", NULL, STEP_SEARCH,
     "multi_layer, single_layer, random or uniform_scaling", TEXT_SIZE(search.strategy), NULL},
    {"search.budgets", KEY_BUDGETS, AT(search), 0, 0, NULL, NULL, STEP_SEARCH,
     "what the found network may cost", 0, NULL},
    {"search.samples", KEY_INTEGER, AT(search.samples), 1, 65536, "16", NULL, STEP_SEARCH,
     "sub-networks scored per iteration", 0, NULL},
    {"search.total_samples", KEY_INTEGER, AT(search.total_samples), 0, MANY, "0", NULL,
     STEP_SEARCH, "sub-networks scored in all (random)", 0, NULL},
    {"search.layers", KEY_INTEGER, AT(search.layers), 1, MAX_LAYERS, "3", NULL, STEP_SEARCH,
     "layers that shrink together in one sample", 0, NULL},
    {"search.reduction", KEY_NUMBER, AT(search.reduction), 1e-6, 1, "0.025",
     "share of the initial metric", STEP_SEARCH, "fall of the target in the first iteration", 0,
     NULL},
    {"search.decay", KEY_NUMBER, AT(search.decay), 1e-6, 1, "0.96", NULL, STEP_SEARCH,
     "factor on that fall from one iteration to the next", 0, NULL},
    {"search.min_reduction", KEY_NUMBER, AT(search.min_reduction), 0, 1, "0",
     "share of the initial metric", STEP_SEARCH,
     "least fall of the target; 0: one option of one layer", 0, NULL},
    {"search.holdout_images", KEY_INTEGER, AT(search.holdout_images), 0, MANY, "0", "images",
     STEP_SEARCH, "hold-out images that score a sample; 0: all", 0, NULL},
    {"search.calibration_images", KEY_INTEGER, AT(search.calibration_images), 2, MANY, "1024",
     "images", STEP_SEARCH, "training images that give a sample its batch-norm statistics", 0,
     NULL},

    {"latency.batch_images", KEY_INTEGER, AT(latency.batch_images), 1, 65536, "1", "images",
     STEP_SEARCH, "pictures of a pass that the metrics latency and memory look at", 0, NULL},
    {"latency.threads", KEY_INTEGER, AT(latency.threads), 1, 256, "1", NULL, STEP_SEARCH,
     "of the CPU that share the pictures, none being shared itself; a GPU takes no notice", 0,
     NULL},
    {"latency.repetitions", KEY_INTEGER, AT(latency.repetitions), 10, 1000000, "100", "passes",
     STEP_SEARCH, "of a series, at least", 0, NULL},
    {"latency.interval", KEY_NUMBER, AT(latency.interval), 1e-4, 1, "0.02",
     "share of the median", STEP_SEARCH,
     "a series whose 95 % confidence interval of the median is wider is measured again", 0, NULL},
    {"latency.seconds", KEY_NUMBER, AT(latency.seconds), 1e-3, 86400, "2", "seconds", STEP_SEARCH,
     "for one network, then the best series counts", 0, NULL},

    TRAINING_KEYS("train", train.training, STEP_TRAIN),
    {"train.init", KEY_TEXT, AT(train.init), 0, 0, "", NULL, STEP_TRAIN,
     "start from this safetensors file, with tensors as found.safetensors has them; empty: see inherit",
     TEXT_SIZE(train.init), NULL},
    {"train.seed", KEY_SEED, AT(train.seed), 0, 0, "0", NULL, STEP_TRAIN,
     "of fresh weights and of the order of images; 0: follows seed", 0, NULL},
    {"train.inherit", KEY_YES_NO, AT(train.inherit), 0, 1, "yes", NULL, STEP_TRAIN,
     "start from the super-network's weights; no: from fresh ones", 0, NULL},
    {"train.use_holdout", KEY_YES_NO, AT(train.use_holdout), 0, 1, "no", NULL, STEP_TRAIN,
     "train on the hold-out images as well", 0, NULL},
    {"train.distill", KEY_NUMBER, AT(train.distill), 0, 1, "0", NULL, STEP_TRAIN,
     "weight of the maximum network's answer in the targets; 0: none", 0, NULL},
    {"train.distill_temperature", KEY_NUMBER, AT(train.distill_temperature), 1e-3, 1000, "1",
     NULL, STEP_TRAIN, "divides the maximum network's logits", 0, NULL},
    {"train.norm_momentum", KEY_NUMBER, AT(train.norm_momentum), 1e-6, 1, "0.1", NULL, STEP_TRAIN,
     "share of a new batch in the running statistics", 0, NULL},
};
/* clang-format on */

const int key_count = sizeof keys / sizeof keys[0];
