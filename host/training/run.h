/* What all steps of a run share: its configuration, its folder (locked), its pictures.
 *
 * The folder: config.yaml (resolved), log.jsonl, times.json, and per step
 *   supernet  supernet.safetensors                  (unfinished: supernet.state.safetensors)
 *   search    search.jsonl, found.yaml
 *   train     found.safetensors                     (unfinished: found.state.safetensors)
 * and found-N.yaml, found-N.safetensors for point N of the trade-off curve; evaluation.json (or
 * evaluation-N.json) of `taper evaluate`. A result names the hash
 * of the keys that it depends on; a step is done when its result has the hash of this run.
 */
#ifndef TAPER_RUN_H
#define TAPER_RUN_H

#include "config/config.h"
#include "data/augment.h"
#include "report/log.h"
#include "report/times.h"
#include "training/evaluation.h"

struct run {
    struct config config;
    char folder[512];
    int lock;
    const struct ops *ops;
    struct pool *pool;
    struct log *log;
    struct times times;

    struct pictures pictures;            /* training pictures; none before run_load_pictures() */
    struct augmented_pictures augmented; /* the same as training sees them */
    struct split split;
    int *calibration, *scored; /* indices drawn from the split's training and hold-out images */
};

/* Takes the configuration over, and touches no file: what can be checked now leaves no trace. */
void run_begin(struct run *run, const struct config *config);

/* Makes and locks the folder of a run that has begun. A folder that another process works in is an
 * error. */
enum status run_open(struct run *run);
void run_close(struct run *run); /* of a run that has begun, open or not */

enum { RUN_PATH = 600 };
const char *run_path(const struct run *run, const char *name, char path[RUN_PATH]);

/* Loads and splits the training pictures the first time that it is called. */
enum status run_load_pictures(struct run *run);
struct picture_feed run_training_feed(const struct run *run);
struct image_set run_calibration_images(const struct run *run);
struct image_set run_scored_images(const struct run *run); /* hold-out images of the search */

/* Fails unless the pictures are what the network reads. */
enum status run_check_pictures(const struct run *run, const struct pictures *pictures);

/* Of a configuration alone: threads (0 means one per core of ours), and what every pass needs. */
int run_threads(const struct config *config);
struct pass_options run_pass_options(const struct config *config);

enum { HASH_TEXT = 17 };
enum status run_hash(const struct run *run, enum config_step step, uint64_t *hash,
                     char text[HASH_TEXT]);

#endif
