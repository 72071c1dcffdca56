/* What all steps of a run share: its configuration, its folder (locked), its pictures.
 *
 * The folder: config.yaml (resolved), log.jsonl, times.json, and per step
 *   supernet  supernet.safetensors                  (unfinished: supernet.state.safetensors)
 *   search    search.jsonl, found.yaml
 *   train     found.safetensors                     (unfinished: found.state.safetensors)
 * holdout.txt names the hold-out pictures and classes.txt the classes where pictures are files;
 * there are also found-N.yaml, found-N.safetensors for point N of the trade-off curve;
 * evaluation.json (or evaluation-N.json) of `taper evaluate`. A result names the hash of the keys
 * that it depends on; a step is done when its result has the hash of this run.
 */
#ifndef TAPER_RUN_H
#define TAPER_RUN_H

#include "cluster/cluster.h"
#include "config/config.h"
#include "data/class_names.h"
#include "report/log.h"
#include "report/times.h"
#include "training/picture_sets.h"

struct run {
    struct config config;
    char folder[512];
    struct cluster *cluster; /* borrowed; rank 0 alone writes into the folder: `log` of the others
                                is NULL, and they wait for its decisions */
    int lock;
    const struct ops *ops;
    struct pool *pool;
    struct log *log;
    struct times times;

    struct picture_sets sets;  /* none before run_load_pictures() */
    struct pictures test;      /* none before run_test_pictures() */
    struct class_list classes; /* classes.txt, once one of both is opened */
    int said;                  /* so many of the sets' bad pictures are in the log */
};

/* Takes the configuration over, and touches no file: what can be checked now leaves no trace. */
void run_begin(struct run *run, const struct config *config);

/* Makes and locks the folder of a run that has begun (rank 0). A folder that another process works
 * in is an error. */
enum status run_open(struct run *run);
void run_close(struct run *run); /* of a run that has begun, open or not */

enum { RUN_PATH = 600 };
const char *run_path(const struct run *run, const char *name, char path[RUN_PATH]);

/* Loads and splits the training pictures the first time that it is called. Of a source of files,
 * holdout.txt names the hold-out pictures and classes.txt the classes; when that file has others,
 * nothing is decoded, and the error names the first difference. */
enum status run_load_pictures(struct run *run);

/* Opens the test pictures of a source of files, so that what is wrong with them as a whole is known
 * before days of work: their folders, labels, classes and number. */
enum status run_check_test_pictures(struct run *run);

/* Names in the log what was left out since the last call; that it cannot be said is no error. */
void run_say_bad_pictures(struct run *run);

/* Loads the test pictures, for the last step alone, the first time that it is called: as a found
 * network reads them. */
enum status run_test_pictures(struct run *run, const struct network *found);

/* What rank 0 answers (it asks its files), on all ranks. */
enum status run_decide(const struct run *run,
                       enum status (*ask)(const struct run *run, bool *answer), bool *answer);

/* Borrowed from the run; without the pictures' own names before one of both is opened. */
struct class_names run_class_names(const struct run *run);

/* Of a configuration alone: threads (0 means one per core of ours), and what every pass needs. */
int run_threads(const struct config *config);
struct pass_options run_pass_options(const struct config *config);

enum { HASH_TEXT = 17 };
enum status run_hash(const struct run *run, enum config_step step, uint64_t *hash,
                     char text[HASH_TEXT]);

#endif
