/* What a run folder tells about itself: of a run that is finished, unfinished, or under way in
 * another process. What is not there yet is simply missing (record_read.h).
 */
#ifndef TAPER_RECORD_H
#define TAPER_RECORD_H

#include "config/config.h"
#include "data/bad_pictures.h"
#include <jansson.h>

enum { RECORD_PATH = 600, RECORD_TEXT = 256 };

/* One line of search.jsonl. */
struct sample_record {
    int number, iteration;
    double metrics[MAX_BUDGETS]; /* in the order of the budgets */
    double score;
    bool chosen;
};

/* One progress line of a training in log.jsonl: averages since the line before. */
struct curve_point {
    double at; /* training steps done */
    double loss, accuracy, rate, speed, waiting;
};
struct curve {
    int count;
    double steps; /* of the whole training */
    struct curve_point *points;
};

enum record_step { RECORD_SUPERNET, RECORD_SEARCH, RECORD_TRAIN, RECORD_STEPS };

struct class_record {
    const char *name;
    int images, correct;
};
struct confused_record {
    int label, predicted, images;
};
struct hard_record {
    int index, label, predicted;
    double probability, label_probability;
    const char *picture; /* a data: URL */
};
enum { MOST_MATRIX = 30 }; /* classes of a confusion matrix that a page can show */

/* evaluation.json; count of classes 0: there is none, or only one of an older network. */
struct evaluation_record {
    json_t *json; /* owns the texts */
    int images, class_count, hardest_count, confused_count;
    double top1, top5, loss;
    struct class_record *classes;     /* [class_count] */
    int *weakest;                     /* [class_count]: the smallest accuracy first */
    int *confusion;                   /* [class_count][class_count]: label, answer; NULL: of more
                                         than MOST_MATRIX classes */
    struct confused_record *confused; /* [confused_count], the most images first */
    struct hard_record *hardest;      /* [hardest_count] */
};

struct run_record {
    char folder[RECORD_PATH];
    char name[RECORD_TEXT]; /* of the folder alone */
    struct config config;
    char *config_text;
    double initial[MAX_BUDGETS]; /* the initial network's metrics; NaN: not measured yet */
    double budgets[MAX_BUDGETS]; /* absolute; NaN likewise */

    int sample_count;
    struct sample_record *samples;
    /* The network found, or while the search is under way the current one. */
    bool search_done, has_network;
    struct network network;

    double test_accuracy;   /* NaN: not trained yet */
    bool supernet_done;     /* trained or taken over */
    bool training;          /* the network found, but not to its end */
    bool trained_otherwise; /* there is a found.safetensors, but of other keys */
    struct curve supernet, train;
    double seconds[RECORD_STEPS];
    struct evaluation_record evaluation;
    struct bad_pictures *bad; /* that any step met; NULL: none */
    /* Where it last ran, "" where the log does not say. */
    char version[RECORD_TEXT], build[RECORD_TEXT], device[RECORD_TEXT], processor[RECORD_TEXT];
    int threads;
};

/* The last chosen sample, NULL before there is one. */
const struct sample_record *record_best(const struct run_record *record);

void record_release(struct run_record *record);

/* A file of the record's folder. */
const char *record_path(const struct run_record *record, const char *name, char path[RECORD_PATH]);

#endif
