/* The trained network of a run folder, read back to answer for pictures. */
#ifndef TAPER_TRAINED_H
#define TAPER_TRAINED_H

#include "config/config.h"
#include "training/evaluation.h"

struct trained {
    struct network network;
    struct parameters parameters, statistics;
    real *weights, *running;
    struct evaluator *evaluator; /* NULL: only read */
};

/* NAME.yaml and NAME.safetensors of the folder config->out, which is only read. */
enum status trained_read(struct trained *trained, const struct config *config, const char *name);
/* The same, ready to answer. */
enum status trained_open(struct trained *trained, const struct config *config, const char *name,
                         const struct ops *ops, struct pool *pool);
void trained_close(struct trained *trained); /* zeroed is fine */

/* Of an open one: logits[pictures->count][classes] with room for READ_SLACK more. Pictures of
 * another size are an error. */
enum status trained_predict(struct trained *trained, const struct pictures *pictures, real *logits);

#endif
